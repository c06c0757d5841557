"""How far a data set is read, and what its reading has come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from gateway.dicom_encoding import tag_name
from gateway.errors import Malformed, TooLarge
from gateway.long_work import pause
from gateway.wire.dimse.text import CharacterSet


class Limits(NamedTuple):
    """How much of a data set is read."""

    elements: int
    """With those of items, and the items."""
    values: int


OF_QUERIES: Final = Limits(elements=1_000, values=5_000)
"""A query has some forty keys, and its longest list is of UIDs. Each key is held against each candidate."""
OF_STATEMENTS: Final = Limits(elements=400_000, values=400_000)
"""A performed step or notification names each of its images, in three elements: room for a hundred thousand."""
NO_LIMITS: Final = Limits(elements=2**62, values=2**62)


class Course:
    """What a reading has come to."""

    __slots__ = ("character_set", "elements", "faults", "keeps_bytes", "values")

    def __init__(
        self, limits: Limits, character_set: Callable[[Sequence[str]], CharacterSet], *, keeps_bytes: bool = False
    ) -> None:
        self.keeps_bytes = keeps_bytes
        """A binary value is kept as it is, its bytes as ISO 8859-1; of words in big endian none is."""
        self.faults: list[Malformed] = []
        self.elements, self.values = limits
        """So many more may come."""
        self.character_set = character_set
        """Of a Specific Character Set."""

    def take(self, tag: int) -> None:
        """An element or item more. Raises `TooLarge`."""
        pause()
        self.elements -= 1
        if self.elements < 0:
            raise TooLarge("the data set has too many elements and items", place=tag_name(tag))

    def take_values(self, tag: int, raw: bytes, width: int) -> None:
        """The values of an element more: texts, or numbers of `width` bytes. Raises `TooLarge`."""
        self.values -= len(raw) // width if width else raw.count(b"\\") + 1
        if self.values < 0:
            raise TooLarge("the data set has too many values", place=tag_name(tag))
