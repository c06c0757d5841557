"""Worklist items and identifiers as this gateway handles them: elements by tag, values as text.

A pydicom data set is made for whoever edits images; a worklist is matched and answered a thousand items at a time, so
here an element is just what matching asks for, made when a key is held against an attribute. An item that is kept
remembers what it has been written as.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
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

LACKS: Final = object()
"""In place of a value: the item does not hold the attribute."""
Item = Mapping[int, "Element"]
"""Elements by tag."""
Attributes = Mapping[str, Any]
"""By keyword: a text, a number, a list of them; of a sequence a list of items, which are attributes."""


class Element:
    """One attribute. `values` are without padding, empty ones included; of a sequence `items` are the items."""

    __slots__ = ("_foreign", "items", "keyword", "tag", "values", "vr")

    def __init__(
        self, tag: int, vr: str, keyword: str, values: tuple[str, ...] = (), items: tuple[Item, ...] = ()
    ) -> None:
        self.tag = tag
        self.vr = vr
        self.keyword = keyword
        self.values = values
        self.items = items
        self._foreign: frozenset[str] | None = None

    @property
    def foreign(self) -> frozenset[str]:
        """Characters that are not ASCII, of items too."""
        if self._foreign is None:
            self._foreign = _NONE
            if self.items:
                self._foreign = _NONE.union(*(one.foreign for item in self.items for one in item.values()))
            elif self.vr in TEXT_VRS and not all(map(str.isascii, self.values)):
                self._foreign = frozenset("".join(map(foreign_in, self.values)))
        return self._foreign

    @property
    def is_empty(self) -> bool:
        return not self.items and not any(self.values)


_ASCII: Final = re.compile("[\0-\x7f]+")


def foreign_in(text: str) -> str:
    """Its characters that are not ASCII."""
    return "" if text.isascii() else _ASCII.sub("", text)


@lru_cache(maxsize=4096)
def known(keyword: str) -> tuple[int, str] | None:
    """Tag and VR; None: no keyword of PS3.6."""
    tag = tag_for_keyword(keyword)
    return None if tag is None else (int(tag), dictionary_VR(tag)[:2])


def vr_of(keyword: str) -> str:
    """Empty: no keyword of PS3.6."""
    found = known(keyword)
    return "" if found is None else found[1]


@lru_cache(maxsize=4096)
def kept_as(tag: int) -> tuple[str, str]:
    """Keyword and VR of an attribute where attributes are kept by keyword; empty: none is kept under this tag."""
    keyword = _keyword(tag)
    found = known(keyword)
    return (keyword, found[1]) if found is not None and found[0] == tag else ("", "")


class Stored(Mapping[int, Element]):
    """Attributes by keyword as they are kept; each is an element when a key is first held against it. What is no
    keyword of PS3.6 is left out."""

    __slots__ = ("_made", "_written", "attributes")

    def __init__(self, attributes: Attributes) -> None:
        self.attributes = attributes
        self._made: dict[int, Element] = {}
        self._written: dict[Hashable, bytes] | None = None

    def remembered(self, form: Hashable, write: Callable[[Stored], bytes]) -> bytes:
        """What was written in this form, else what `write` gives; the last few forms are kept."""
        written = self._written
        found = None if written is None else written.get(form)
        if found is None:
            if written is None or len(written) >= _KEPT_FORMS:
                written = self._written = {}
            found = written[form] = write(self)
        return found

    def get(self, tag: int, default: Any = None) -> Any:
        made = self._made.get(tag)
        if made is None:
            keyword, vr = kept_as(tag)
            if keyword not in self.attributes:
                return default
            value = self.attributes[keyword]
            if vr == "SQ":
                made = Element(tag, vr, keyword, items=tuple(map(Stored, value)))
            else:
                made = Element(tag, vr, keyword, texts_of(value))
            self._made[tag] = made
        return made

    def __getitem__(self, tag: int) -> Element:
        made: Element | None = self.get(tag)
        if made is None:
            raise KeyError(tag)
        return made

    def __contains__(self, tag: object) -> bool:
        return isinstance(tag, int) and kept_as(tag)[0] in self.attributes

    def __iter__(self) -> Iterator[int]:
        return (found[0] for keyword in self.attributes if (found := known(keyword)) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def texts_of(value: Any) -> tuple[str, ...]:
    """The values of an attribute that is no sequence."""
    if type(value) is str:
        return (value.strip(PADDING),) if value else ()
    if isinstance(value, list):
        return tuple([str(one).strip(PADDING) for one in value])
    return () if value is None else (str(value).strip(PADDING),)


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
