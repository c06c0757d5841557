"""A worklist query and its matches, whatever protocol the scanner speaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.records.row_ids import StepRow
from gateway.worklist.items import Item, Stored
from gateway.worklist.scanner_rules import Form


@dataclass(frozen=True, slots=True)
class Query:
    """What a scanner asks."""

    scanner: str
    """Its AE title: the calling one of an association, the user of a login over the web."""
    address: str
    keys: Item
    fuzzy: bool = False
    """With fuzzy semantic matching of person names (PS3.4 C.2.2.2.1.1)."""
    as_it_came: bytes = b""
    """The encoded data set, or the query string of a web request."""
    transfer_syntax_uid: str = ""
    """Of the data set; empty: it is a query string."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which of the matches are wanted."""

    offset: int = 0
    limit: int | None = None
    """None: as many as the site allows, which is the most in any case."""
    counted: int = 1
    """How many of the matches behind the page are counted at most."""


WHOLE = Page()


@dataclass(frozen=True, slots=True)
class Matches:
    """A page of matches: each step and what `Writer` made of its item."""

    answers: list[tuple[StepRow, bytes]]
    remaining: int
    """Matches behind the page, as far as they are counted."""


Writer = Callable[[Form], Callable[[Stored], bytes]]
"""For the form that a scanner's items have, what writes an item in the scanner's protocol."""
