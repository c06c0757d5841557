"""Which codes the tables lacked while something was read: for who keeps what was read, to count them.

A lookup knows neither message nor study. Reading is done by one thread from begin to end, so the thread has the set.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.records.missing_code import MissingCode


class _Reading(threading.local):
    missing: set[MissingCode] | None = None


_reading: Final = _Reading()


@contextmanager
def collected() -> Iterator[set[MissingCode]]:
    """The codes that tables lack until the context ends, each once."""
    before, _reading.missing = _reading.missing, set()
    try:
        yield _reading.missing
    finally:
        _reading.missing = before


def note(table: str, code: str) -> None:
    """Note that a table lacks a code, if somebody collects."""
    if _reading.missing is not None and code.strip():
        _reading.missing.add(MissingCode(table, code.strip()))
