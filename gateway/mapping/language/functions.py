"""The registry of the functions that a mapping row may name: what each takes and gives, in one entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class MappingFunction:
    """A function that a row names with `as`."""

    function: Callable[..., Any]
    returns: str = ""
    """The type of the result: a VR on the HL7 side (empty: text, for every VR without an entry), a FHIR type on the
    other, with `*` for a list."""
    takes: tuple[str, ...] = ("text",)
    """The kinds of source: `text`, `sequence`, a field or a whole `segment`, as the dialect knows them."""
    of_leaf: bool = False
    """The function takes the first leaf of a value alone, and is not called for an empty leaf (HL7)."""
    recurs: bool = False
    """Messages mostly give it what others gave before: who ordered, which code, whose number. It takes one field, looks
    at no settings, and its results for fields without subcomponents are remembered (HL7)."""
    is_list: bool = False
    """The result is a list of texts (HL7)."""
    companions: int = 0
    """How many attributes the row may name in `with` (FHIR)."""
    takes_several: bool = False
    """All values of an attribute count, not the first alone (FHIR)."""
    table: str | None = None
    """None: the function uses no code table; empty: the row may name a table; else what the table must hold (FHIR).
    On the HL7 side every function that gives text may have a table; one that gives sequences if it says so."""


Registry = dict[str, MappingFunction]
"""The functions of a dialect by the names that rows use."""


def registry(*entries: MappingFunction) -> Registry:
    """The registry of these functions; a function's name is the name that rows use."""
    return {entry.function.__name__: entry for entry in entries}
