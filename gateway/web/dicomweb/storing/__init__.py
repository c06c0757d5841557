"""Store (STOW-RS, PS3.18 10.5): a body of any length becomes instances, each kept or failed by itself."""
