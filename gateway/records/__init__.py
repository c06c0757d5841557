"""What the gateway knows: frozen data and transition tables. Nothing in here does I/O."""
