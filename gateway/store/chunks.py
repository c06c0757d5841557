"""Many values, for statements that take some of them at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T")
MOST_VALUES: Final = 500
"""In one statement, whose parameters databases limit."""


def chunks(values: Sequence[T], most: int = MOST_VALUES) -> Iterator[Sequence[T]]:
    """The values in their order, at most so many at a time."""
    return (values[at : at + most] for at in range(0, len(values), most))
