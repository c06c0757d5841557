"""What ImagingStudy resources are found by, and what is asked of them (FHIR R4 search)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]


class SearchToken(NamedTuple):
    """A value of a resource that a search parameter of type token, or of type reference by identifier, meets."""

    parameter: str
    system: str
    value: str


class Period(NamedTuple):
    """Microseconds since 1970 UTC: from the first to before the last. A date is a period of a day, a year of a year."""

    first: int
    last: int


class TokenAsked(NamedTuple):
    """`system|value`, one of them alone, or `|value`, which wants no system; None stands for any."""

    system: str | None
    value: str | None


class Compared(NamedTuple):
    prefix: Prefix
    period: Period


@dataclass(frozen=True, slots=True)
class Findable:
    """Everything by which one resource is found."""

    tokens: frozenset[SearchToken]
    started: Period | None


@dataclass(frozen=True, slots=True)
class SearchParameters:
    """Alternatives of each list stand beside one another (or); the lists must all be met (and)."""

    ids: tuple[tuple[str, ...], ...] = ()
    tokens: tuple[tuple[str, tuple[TokenAsked, ...]], ...] = ()
    """(search parameter, alternatives)."""
    started: tuple[tuple[Compared, ...], ...] = ()
    last_updated: tuple[tuple[Compared, ...], ...] = ()
    sort: Literal["", "started", "_lastUpdated"] = ""
    """'' is the order in which the studies came first, which nothing ever changes."""
    descending: bool = False
    count: int = 50
    after: tuple[int, int] | None = field(default=None)
    """(sort key, row) of the last resource of the page before."""
