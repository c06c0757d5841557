"""Many values, for statements that take some of them at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T")
MOST_VALUES: Final = 500
"""In one statement, whose parameters databases limit."""


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in their order, at most `MOST_VALUES` at a time."""
    return (values[at : at + MOST_VALUES] for at in range(0, len(values), MOST_VALUES))
