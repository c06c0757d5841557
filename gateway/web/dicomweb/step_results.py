"""The results of a worklist search in JSON, written straight from what is kept of a step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson

from gateway.wire.dicomweb.dataset import CHARACTER_SET, UTF_8
from gateway.wire.dicomweb.dicom_json import is_as_it_is, member, member_of_items, name_of
from gateway.worklist.answering import NEVER_KEYS
from gateway.worklist.items import LACKS, PADDING, Attributes, Stored, kept_as, known, texts_of
from gateway.worklist.results import Selection, Wanted

_NAMED: Final = {name_of(CHARACTER_SET): member("CS", [UTF_8])}


@dataclass(slots=True, eq=False)
class _Member:
    """An attribute of a result, with all of it that does not depend on the item."""

    name: str
    keyword: str
    """Under which an item holds it; empty: none can."""
    vr: str
    is_as_it_is: bool
    bare: dict[str, Any]
    """Where the item holds it without a value."""
    absent: dict[str, Any] | None
    """Where the item does not hold it; None: it is left out."""
    inner: tuple[_Member, ...]
    """Of the items of a sequence; none: the items as they are."""
    only_if_held: bool


class StepResults:
    """Writes `results.selected` of an item; the same object for the same selection, so that items compare what they
    remember by identity."""

    def __init__(self, wanted: Selection) -> None:
        self._members = tuple(map(_of_wanted, wanted))

    def write(self, item: Stored) -> bytes:
        """The item remembers it for the next search that asks for the same."""
        return item.remembered(self, self._write)

    def _write(self, item: Stored) -> bytes:
        result = _object(self._members, item.attributes)
        written = orjson.dumps(result)
        return written if written.isascii() else orjson.dumps(dict(sorted((result | _NAMED).items())))


results_of: Final = lru_cache(maxsize=64)(StepResults)


def _of_wanted(wanted: Wanted) -> _Member:
    keyword, vr = kept_as(wanted.tag)
    return _Member(
        name_of(wanted.tag), keyword, vr, is_as_it_is(vr), {"vr": vr}, {"vr": wanted.empty} if wanted.empty else None,
        tuple(map(_of_wanted, wanted.inner)), not wanted.empty and wanted.tag in NEVER_KEYS,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _everything(keywords: tuple[str, ...]) -> tuple[_Member, ...]:
    """All that an item of a sequence holds."""
    tags = sorted(found[0] for keyword in keywords if (found := known(keyword)) is not None)
    return tuple(_of_wanted(Wanted(tag, "UN")) for tag in tags)


def _object(members: tuple[_Member, ...], attributes: Attributes) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for one in members:
        value = attributes.get(one.keyword, LACKS)
        if value is LACKS:
            if one.absent is not None:
                made[one.name] = one.absent
        elif one.vr == "SQ":
            made[one.name] = member_of_items([_object(one.inner or _everything(tuple(item)), item) for item in value])
        elif one.is_as_it_is and type(value) is str:
            text = value.strip(PADDING)
            if text or not one.only_if_held:
                made[one.name] = {"vr": one.vr, "Value": [text]} if text else one.bare
        elif not one.only_if_held or any(texts_of(value)):
            made[one.name] = member(one.vr, texts_of(value))
    return made
