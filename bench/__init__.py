"""Benchmarks of what docs/performance.md holds the gateway to: `python -m bench`."""
