"""`python -m gateway`, with transactions of the size that the run of the tests has (`tests.batches`)."""

from __future__ import annotations

from gateway.cli import main
from tests import batches

batches.take_size()
main()
