"""The results of a worklist search over the web (PS3.18 14.4.2): what the standard wants of an item, and what was asked
for besides."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from gateway.worklist.answering import NEVER_KEYS, STEP_SEQUENCE
from gateway.worklist.encoding import CHARACTER_SET
from gateway.worklist.items import Element, Item
from gateway.worklist.keys import OF_ROOT, OF_STEP, KeyTypes


class Wanted(NamedTuple):
    """An attribute of a result."""

    tag: int
    empty: str = ""
    """VR of an attribute that is there without a value where the item has none (Return Key Type 1 and 2)."""
    inner: tuple[Wanted, ...] = ()
    """Of the items of a sequence; none: the items as they are."""


Selection = tuple[Wanted, ...]
"""In ascending order of tags."""


def _required(keys: Mapping[str, KeyTypes]) -> dict[int, Wanted]:
    made = {}
    for keyword, types in keys.items():
        tag = tag_for_keyword(keyword)
        if tag is not None and types.matching and types.returned != "3":
            made[tag] = Wanted(tag, "" if types.returned == "1C" else _vr(tag))
    return made


def _vr(tag: int) -> str:
    return dictionary_VR(tag)[:2]


_OF_STEP: Final = _required(OF_STEP)
REQUIRED: Final[Mapping[int, Wanted]] = {
    **_required(OF_ROOT),
    STEP_SEQUENCE: Wanted(STEP_SEQUENCE, "SQ", tuple(_OF_STEP[tag] for tag in sorted(_OF_STEP))),
}
"""Return Key Type 1, 2 and 2C, and 1C where the item has them (PS3.4 Table K.6-1)."""


ALWAYS: Final[Selection] = tuple(REQUIRED[tag] for tag in sorted(REQUIRED))


def selection(
    paths: Iterable[tuple[int, ...]], *, required: Mapping[int, Wanted] = REQUIRED, never: Collection[int] = ()
) -> Selection:
    """What results hold: the `required` attributes and those at the `paths`, without the tags of `never`."""
    made = dict(required)
    for path in paths:
        _add(made, path)
    return _without(made.values(), frozenset(never) | {CHARACTER_SET})


def _add(wanted: dict[int, Wanted], path: tuple[int, ...]) -> None:
    tag, *rest = path
    before = wanted.get(tag)
    if not rest:
        # The items as they are.
        wanted[tag] = Wanted(tag, before.empty if before is not None else "")
    elif before is None or before.inner:
        inner = {one.tag: one for one in before.inner} if before is not None else {}
        _add(inner, tuple(rest))
        wanted[tag] = Wanted(
            tag, before.empty if before is not None else "", tuple(inner[key] for key in sorted(inner))
        )


def _without(wanted: Iterable[Wanted], never: frozenset[int]) -> Selection:
    kept = (one for one in sorted(wanted) if one.tag not in never)
    return tuple(one._replace(inner=_without(one.inner, never)) for one in kept)


def selected(item: Item, wanted: Selection) -> dict[int, Element]:
    """The attributes of an item that are wanted, as far as it has them."""
    result: dict[int, Element] = {}
    for one in wanted:
        held = item.get(one.tag)
        if held is None:
            if one.empty:
                result[one.tag] = _empty(one.tag, one.empty)
        elif one.inner:
            items = tuple(selected(inner, one.inner) for inner in held.items)
            result[one.tag] = Element(one.tag, held.vr, held.keyword, items=items)
        elif one.empty or one.tag not in NEVER_KEYS or not held.is_empty:
            result[one.tag] = held
    return result


@lru_cache(maxsize=1024)
def _empty(tag: int, vr: str) -> Element:
    return Element(tag, vr, str(keyword_for_tag(tag)))


def whole(item: Item, never: Collection[int] = (), required: Selection = ALWAYS) -> dict[int, Element]:
    """All that an item has, as `includefield=all` asks for, and what is `required`, without the tags of `never`."""
    inner = {one.tag: one.inner for one in required}
    result = selected({}, required)
    for tag, one in item.items():
        if one.vr == "SQ":
            items = tuple(whole(held, never, inner.get(tag, ())) for held in one.items)
            result[tag] = Element(tag, "SQ", one.keyword, items=items)
        else:
            result[tag] = one
    return {tag: one for tag, one in result.items() if tag not in never and tag != CHARACTER_SET}
