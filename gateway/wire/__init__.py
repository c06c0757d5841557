"""Bytes to objects and back, in the words of the standards. Knows no business word and no configuration."""
