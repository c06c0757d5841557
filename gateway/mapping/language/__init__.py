"""The mapping language: files, rows, tables, overlays and the source of every value."""
