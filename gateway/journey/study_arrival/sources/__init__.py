"""Sources of studies that are asked: which studies they have, and what is read of each."""
