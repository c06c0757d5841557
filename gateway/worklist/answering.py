"""The response identifiers of a Modality Worklist query (PS3.4 K.4.1.1.3.2)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.worklist import encoding
from gateway.worklist.encoding import CHARACTER_SET, CharacterSets
from gateway.worklist.items import Element, Item

NEVER_KEYS: Final = frozenset({0x00080005, 0x00080201, 0x0040A390})
"""Specific Character Set, Timezone Offset From UTC and HL7 Instance Identifier describe the data set; they are no keys
(PS3.4 K.4.1.1.3)."""
STEP_SEQUENCE: Final = 0x00400100


@dataclass(frozen=True, slots=True)
class _Asked:
    """A requested attribute; `inner` is what is asked of a sequence's items, None: all of it."""

    tag: int
    vr: str
    empty: bytes
    inner: tuple[_Asked, ...] | None
    only_if_held: bool
    as_it_is: bytes | None


class _Form:
    """What an answer depends on beside its item, hashed once."""

    __slots__ = ("_hash", "_said")

    def __init__(self, values: tuple[object, ...]) -> None:
        self._said = values
        self._hash = hash(values)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Form) and self._said == other._said


class Answers:
    """Answers the identifier of one query: the requested attributes of an item and no others, unknown ones with zero
    length.

    Timezone Offset From UTC and HL7 Instance Identifier come along if the item holds them and they were requested;
    Specific Character Set whenever a value is not ASCII: the first of `character_sets` in which every value can be
    written; where none is given, the request's, else the first regional set that suffices; else UTF-8.

    `explicit`: in explicit VR little endian, else in implicit. `never`: tags that are not answered, `always`: what is
    answered unasked, of the step too.
    """

    def __init__(
        self,
        identifier: Item,
        explicit: bool,
        *,
        character_sets: Sequence[CharacterSets] = (),
        never: Collection[int] = (),
        always: Item = MappingProxyType({}),
    ) -> None:
        self._explicit = explicit
        self._asked = _asked(_widened(identifier, always, frozenset(never)), explicit)
        self._ahead = sum(one.tag < CHARACTER_SET for one in self._asked)
        wanted = identifier.get(CHARACTER_SET)
        requested = [] if wanted is None or wanted.is_empty else [wanted.values]
        self._preferred = tuple(character_sets) or (*requested, *encoding.REGIONAL)
        self._form = _Form((self._asked, self._preferred, explicit))

    def encode(self, item: Item) -> bytes:
        """The encoded answer; the item remembers it for the next query that asks for the same."""
        steps = item.get(STEP_SEQUENCE)
        return self._encode(item) if steps is None else steps.remembered(self._form, lambda: self._encode(item))

    def _encode(self, item: Item) -> bytes:
        foreign = _foreign(self._asked, item)
        sets = encoding.chosen(self._preferred, foreign) if foreign else ()
        parts = [self._one(asked, item, sets) for asked in self._asked]
        if foreign:
            parts.insert(self._ahead, encoding.character_set(sets, self._explicit))
        return b"".join(parts)

    def _one(self, asked: _Asked, item: Item, sets: CharacterSets) -> bytes:
        held = item.get(asked.tag)
        if held is None or (held.vr == "SQ") != (asked.vr == "SQ"):
            return asked.as_it_is or (b"" if asked.only_if_held else asked.empty)
        if asked.only_if_held and held.is_empty:
            return b""
        if asked.inner is None:
            return encoding.encoded(held, self._explicit, sets)
        items = held.items[:1] if asked.tag == STEP_SEQUENCE else held.items
        return encoding.sequence(
            asked.tag,
            [b"".join(self._one(inner, one, sets) for inner in asked.inner) for one in items],
            self._explicit,
        )


def _asked(identifier: Item, explicit: bool) -> tuple[_Asked, ...]:
    return tuple(
        _Asked(
            tag=tag,
            vr=key.vr,
            empty=encoding.empty(tag, key.vr, explicit),
            inner=_inner(key, explicit),
            only_if_held=tag in NEVER_KEYS,
            as_it_is=encoding.encoded(key, explicit, ()) if _is_private_creator(tag) else None,
        )
        for tag, key in sorted(identifier.items())
        if tag != CHARACTER_SET
    )


def _widened(identifier: Item, always: Item, never: frozenset[int]) -> Item:
    asked = {**{tag: Element(tag, one.vr, one.keyword) for tag, one in always.items()}, **identifier}
    step = asked.get(STEP_SEQUENCE)
    if step is not None and step.items:
        more = always.get(STEP_SEQUENCE)
        inner = _widened(step.items[0], more.items[0] if more is not None else {}, never)
        asked[STEP_SEQUENCE] = Element(STEP_SEQUENCE, "SQ", step.keyword, items=(inner,))
    return {tag: one for tag, one in asked.items() if tag not in never}


def _inner(key: Element, explicit: bool) -> tuple[_Asked, ...] | None:
    """Zero items, or an empty item, ask for the sequence as it is (K.2.2.1.2)."""
    return _asked(key.items[0], explicit) or None if key.items else None


def _is_private_creator(tag: int) -> bool:
    """It says whose the private elements beside it are (PS3.5 7.8.1)."""
    return bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


_NONE: Final[frozenset[str]] = frozenset()


def _foreign(asked: tuple[_Asked, ...], item: Item) -> frozenset[str]:
    """The characters of an answer that are not ASCII."""
    found = _NONE
    for one in asked:
        held = item.get(one.tag)
        if held is None or (held.vr == "SQ") != (one.vr == "SQ"):
            continue
        if one.inner is None:
            found |= held.foreign
        else:
            for inside in held.items:
                found |= _foreign(one.inner, inside)
    return found
