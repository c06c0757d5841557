"""Whole gateways among faults that take minutes: `make faults` runs these tests, `make test` does not collect them."""
