"""The response identifiers of a Modality Worklist query (PS3.4 K.4.1.1.3.2)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from gateway.worklist import encoding
from gateway.worklist.encoding import CHARACTER_SET, CharacterSets
from gateway.worklist.items import (
    LACKS,
    PADDING,
    TEXT_VRS,
    Attributes,
    Element,
    Item,
    Stored,
    foreign_in,
    kept_as,
    known,
    texts_of,
)

NEVER_KEYS: Final = frozenset({0x00080005, 0x00080201, 0x0040A390})
"""Specific Character Set, Timezone Offset From UTC and HL7 Instance Identifier describe the data set; they are no keys
(PS3.4 K.4.1.1.3)."""
STEP_SEQUENCE: Final = 0x00400100
STEPS: Final = "ScheduledProcedureStepSequence"


@dataclass(slots=True, eq=False)
class _Asked:
    """A requested attribute, with all of its encoding that does not depend on the item."""

    keyword: str
    """Under which an item holds it; empty: none can."""
    vr: str
    """Of what an item holds."""
    head: bytes
    length: Callable[[int], bytes]
    padding: bytes
    absent: bytes
    """What is answered where the item does not hold it."""
    only_if_held: bool
    is_text: bool
    """Not numbers or items."""
    inner: tuple[_Asked, ...] | None
    """What is asked of a sequence's items; None: all of them."""
    most: int | None
    """Items of the sequence that are answered; None: all."""


class _Shape(NamedTuple):
    """A requested attribute without what is to be matched, so that queries that ask for the same are equal."""

    tag: int
    vr: str
    values: tuple[str, ...]
    """Of a private creator."""
    inner: tuple[_Shape, ...] | None


def answers_to(
    identifier: Item,
    explicit: bool,
    *,
    character_sets: Sequence[CharacterSets] = (),
    never: Collection[int] = (),
    always: Attributes = MappingProxyType({}),
) -> Answers:
    """`explicit`: in explicit VR little endian, else in implicit. `character_sets`: the first in which every value can
    be written; where none is given, the request's, else the first regional set that suffices; else UTF-8. `never`: tags
    that are not answered, `always`: what is answered unasked, of the step too."""
    asked = _shapes(_widened(identifier, Stored(always), frozenset(never)))
    wanted = identifier.get(CHARACTER_SET)
    requested = [] if wanted is None or wanted.is_empty else [wanted.values]
    return _answers(asked, explicit, tuple(character_sets) or (*requested, *encoding.REGIONAL))


class Answers:
    """Answers queries for the same attributes, with these of an item and no others, unknown ones with zero length.

    Timezone Offset From UTC and HL7 Instance Identifier come along if the item holds them and they were requested;
    Specific Character Set whenever a value is not ASCII.
    """

    def __init__(self, asked: tuple[_Shape, ...], explicit: bool, preferred: tuple[CharacterSets, ...]) -> None:
        self._explicit = explicit
        self._preferred = preferred
        self._asked = _compiled(asked, explicit)
        self._ahead = sum(one.tag < CHARACTER_SET for one in asked)

    def encode(self, item: Stored) -> bytes:
        """The encoded answer; the item remembers it for the next query that asks for the same."""
        return item.remembered(self, self._encode)

    def _encode(self, item: Stored) -> bytes:
        attributes = item.attributes
        try:
            return b"".join(self._parts(self._asked, attributes, None))
        except UnicodeEncodeError:
            foreign = frozenset("".join(_foreign(self._asked, attributes)))
        if not foreign:
            return b"".join(self._parts(self._asked, attributes, ()))
        sets = encoding.chosen(self._preferred, foreign)
        ahead, behind = self._asked[: self._ahead], self._asked[self._ahead :]
        return b"".join(
            [
                *self._parts(ahead, attributes, sets),
                encoding.character_set(sets, self._explicit),
                *self._parts(behind, attributes, sets),
            ]
        )

    def _parts(self, asked: tuple[_Asked, ...], attributes: Attributes, sets: CharacterSets | None) -> list[bytes]:
        """The attributes that an item answers. `sets` None: the item is taken to be ASCII; raises `UnicodeEncodeError`
        where a value is not."""
        parts: list[bytes] = []
        for one in asked:
            value = attributes.get(one.keyword, LACKS)
            if value is LACKS:
                parts.append(one.absent)
                continue
            if one.is_text and sets is None:
                text = value if type(value) is str else "\\".join(_significant(value))
                written = text.strip(PADDING).encode("ascii")
                if len(written) & 1:
                    written += one.padding
            elif one.vr == "SQ":
                written = b"".join(self._items(one, value, sets))
            else:
                written = encoding.value_of(one.vr, texts_of(value), sets or ())
            if written or not one.only_if_held:
                parts += (one.head, one.length(len(written)), written)
        return parts

    def _items(self, asked: _Asked, items: Sequence[Attributes], sets: CharacterSets | None) -> Iterator[bytes]:
        for item in items[: asked.most]:
            inner = _everything(tuple(item), self._explicit) if asked.inner is None else asked.inner
            yield encoding.item(b"".join(self._parts(inner, item, sets)))


_answers: Final = lru_cache(maxsize=64)(Answers)
"""The same object for the same request, so that items compare what they remember by identity."""


def _significant(value: Any) -> tuple[str, ...]:
    """Of an attribute with values; none where all are empty."""
    values = texts_of(value)
    return values if any(values) else ()


def _shapes(identifier: Item) -> tuple[_Shape, ...]:
    return tuple(
        _Shape(
            tag,
            key.vr,
            key.values if _is_private_creator(tag) else (),
            # Zero items, or an empty item, ask for the sequence as it is (K.2.2.1.2).
            _shapes(key.items[0]) or None if key.items else None,
        )
        for tag, key in sorted(identifier.items())
        if tag != CHARACTER_SET
    )


def _compiled(asked: tuple[_Shape, ...], explicit: bool) -> tuple[_Asked, ...]:
    return tuple(_one(shape, explicit) for shape in asked)


def _one(asked: _Shape, explicit: bool) -> _Asked:
    tag = asked.tag
    keyword, vr = kept_as(tag)
    if (vr == "SQ") != (asked.vr == "SQ"):
        keyword = ""
    absent = b"" if tag in NEVER_KEYS else encoding.encoded(Element(tag, asked.vr, "", asked.values), explicit, ())
    head, length = encoding.header_of(tag, vr, explicit)
    return _Asked(
        keyword, vr, head, length, encoding.padding_of(vr), absent,
        only_if_held=tag in NEVER_KEYS,
        is_text=vr != "SQ" and vr not in encoding.NUMBERS,
        inner=None if asked.inner is None else _compiled(asked.inner, explicit),
        most=1 if tag == STEP_SEQUENCE else None,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _everything(keywords: tuple[str, ...], explicit: bool) -> tuple[_Asked, ...]:
    """All that an item of a sequence holds, asked for."""
    there = sorted(found for keyword in keywords if (found := known(keyword)) is not None)
    return _compiled(tuple(_Shape(tag, vr, (), None) for tag, vr in there), explicit)


def _widened(identifier: Item, always: Item, never: frozenset[int]) -> Item:
    asked = {**{tag: Element(tag, one.vr, one.keyword) for tag, one in always.items()}, **identifier}
    step = asked.get(STEP_SEQUENCE)
    if step is not None and step.items:
        more = always.get(STEP_SEQUENCE)
        inner = _widened(step.items[0], more.items[0] if more is not None else {}, never)
        asked[STEP_SEQUENCE] = Element(STEP_SEQUENCE, "SQ", step.keyword, items=(inner,))
    return {tag: one for tag, one in asked.items() if tag not in never}


def _is_private_creator(tag: int) -> bool:
    """It says whose the private elements beside it are (PS3.5 7.8.1)."""
    return bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


def _foreign(asked: tuple[_Asked, ...] | None, attributes: Attributes) -> Iterator[str]:
    """The characters of an answer that are not ASCII."""
    for one in _everything(tuple(attributes), True) if asked is None else asked:
        value = attributes.get(one.keyword, LACKS)
        if value is LACKS:
            continue
        if one.vr == "SQ":
            for item in value:
                yield from _foreign(one.inner, item)
        elif one.vr in TEXT_VRS:
            yield from map(foreign_in, texts_of(value))
