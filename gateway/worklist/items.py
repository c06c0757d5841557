"""Worklist items and identifiers as this gateway handles them: elements by tag, values as text.

A pydicom data set is made for whoever edits images; a worklist is matched and answered a thousand items at a time, so
here an element is just what matching and answering ask for, and keeps the bytes it has once been written as.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

import gateway.dicom_dictionary  # noqa: F401  the elements that pydicom lacks

PADDING: Final = " \0"
"""Not significant at the ends of a value (PS3.5 6.2)."""
TEXT_VRS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""Whose bytes depend on Specific Character Set (PS3.5 6.1.2.3)."""
WILDCARD_VRS: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""Whose values may be asked for with wildcards (PS3.4 C.2.2.2.4)."""
_NONE: Final[frozenset[str]] = frozenset()
_KEPT_FORMS: Final = 8

Item = Mapping[int, "Element"]
"""Elements by tag."""


class Element:
    """One attribute. `values` are without padding, empty ones included; of a sequence `items` are the items."""

    __slots__ = ("_foreign", "items", "keyword", "tag", "values", "vr", "written")

    def __init__(
        self, tag: int, vr: str, keyword: str, values: tuple[str, ...] = (), items: tuple[Item, ...] = ()
    ) -> None:
        self.tag = tag
        self.vr = vr
        self.keyword = keyword
        self.values = values
        self.items = items
        self._foreign: frozenset[str] | None = None
        self.written: dict[Hashable, bytes] | None = None
        """What it has been encoded to; made when it is first needed, for there are many elements."""

    def remembered(self, key: Hashable, write: Callable[[], bytes]) -> bytes:
        """What was written under this key, else what `write` gives; the last few keys are kept."""
        if self.written is None or len(self.written) >= _KEPT_FORMS:
            self.written = {}
        found = self.written.get(key)
        if found is None:
            found = self.written[key] = write()
        return found

    @property
    def foreign(self) -> frozenset[str]:
        """Characters that are not ASCII, of items too."""
        if self._foreign is None:
            self._foreign = _NONE
            if self.items:
                self._foreign = _NONE.union(*(one.foreign for item in self.items for one in item.values()))
            elif self.vr in TEXT_VRS and not all(map(str.isascii, self.values)):
                self._foreign = frozenset(one for value in self.values for one in value if not one.isascii())
        return self._foreign

    @property
    def is_empty(self) -> bool:
        return not self.items and not any(self.values)


@lru_cache(maxsize=4096)
def _known(keyword: str) -> tuple[int, str] | None:
    tag = tag_for_keyword(keyword)
    return None if tag is None else (int(tag), dictionary_VR(tag)[:2])


class _Lazy(Mapping[int, Element]):
    """Attributes as they are kept, each an element when it is first looked at: a query looks at one in three."""

    __slots__ = ("_made", "_said")

    def __init__(self, stored: dict[int, tuple[str, str, Any]]) -> None:
        self._said = stored
        self._made: dict[int, Element] = {}

    def __getitem__(self, tag: int) -> Element:
        made = self._made.get(tag)
        if made is None:
            vr, keyword, value = self._said[tag]
            if vr == "SQ":
                made = Element(tag, vr, keyword, items=tuple(map(of_attributes, value)))
            else:
                made = Element(tag, vr, keyword, tuple(_texts(value)))
            self._made[tag] = made
        return made

    def get(self, tag: int, default: Any = None) -> Any:
        return self[tag] if tag in self._said else default

    def __contains__(self, tag: object) -> bool:
        return tag in self._said

    def __iter__(self) -> Iterator[int]:
        return iter(self._said)

    def __len__(self) -> int:
        return len(self._said)


def of_attributes(attributes: Mapping[str, Any]) -> Item:
    """Attributes by keyword, as they are kept; what is no keyword of PS3.6 is left out."""
    stored: dict[int, tuple[str, str, Any]] = {}
    for keyword, value in attributes.items():
        known = _known(keyword)
        if known is not None:
            stored[known[0]] = (known[1], keyword, value)
    return _Lazy(stored)


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, list):
        return (str(one).strip(PADDING) for one in value)
    return () if value is None or value == "" else (str(value).strip(PADDING),)


class Decoded(Protocol):
    """One decoded attribute of an identifier."""

    @property
    def tag(self) -> int: ...
    @property
    def vr(self) -> str: ...
    @property
    def values(self) -> tuple[str, ...]: ...
    @property
    def items(self) -> Sequence[Mapping[int, Decoded]]: ...


def of_identifier(identifier: Mapping[int, Decoded]) -> dict[int, Element]:
    """The keys of a query."""
    return {tag: _key(decoded) for tag, decoded in identifier.items()}


def _key(decoded: Decoded) -> Element:
    items = tuple(map(of_identifier, decoded.items))
    return Element(decoded.tag, decoded.vr, _keyword(decoded.tag), decoded.values, items)


@lru_cache(maxsize=4096)
def _keyword(tag: int) -> str:
    return str(keyword_for_tag(tag))


def as_attributes(item: Item) -> dict[str, Any]:
    """By keyword, fit for JSON, without what is empty or has no keyword."""
    made: dict[str, Any] = {}
    for element in item.values():
        if element.keyword and not element.is_empty:
            many: list[Any] = [as_attributes(one) for one in element.items]
            many = many or [value for value in element.values if value]
            made[element.keyword] = many if element.vr == "SQ" or len(many) > 1 else many[0]
    return made
