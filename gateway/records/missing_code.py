"""A code that a sender wrote and a code table does not have."""

from __future__ import annotations

from typing import NamedTuple


class MissingCode(NamedTuple):
    table: str
    code: str
