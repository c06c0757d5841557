"""Compressed files decoded by the gateway and by others: `python -m bench.pixels [FOLDER]`."""
