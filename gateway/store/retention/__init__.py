"""Deleting rows by their age: which table follows which rule, what keeps a row, and the deleting itself, by batches."""
