"""What one scanner needs that its queries do not say: keys it leaves empty, names and characters it cannot take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from anyascii import anyascii

from gateway.worklist.answering import STEP_SEQUENCE, STEPS
from gateway.worklist.encoding import CharacterSets, encodes
from gateway.worklist.items import TEXT_VRS, Attributes, Element, Item, foreign_in, texts_of, vr_of
from gateway.worklist.names import like

STATION_AE, MODALITY, START_DATE = 0x00400001, 0x00080060, 0x00400002
CALLING_AE: Final = "calling_ae"
"""Stands among `stations` for the AE title that asks."""


@dataclass(frozen=True, slots=True)
class Form:
    """How an item is written for one scanner."""

    character_sets: tuple[CharacterSets, ...] = ()
    """Those it can take, the best first; empty: any."""
    transliterates: bool = False
    """What none of the sets can write is transliterated to ASCII, instead of written in UTF-8."""
    names: str = "all"
    """`all` component groups; `alphabetic`: the first alone; `plain`: that without `^`, blanks between."""
    never: frozenset[int] = frozenset()
    """Attributes that it must not get, tags."""
    always: Attributes = field(default_factory=dict, hash=False)
    """Attributes that it gets asked or unasked; the value stands in where the item has none. Those of a step lie in the
    item of Scheduled Procedure Step Sequence."""


AS_IT_IS: Final = Form()


@dataclass(frozen=True, slots=True)
class ScannerRule:
    """`pattern`: the calling AE titles it holds for, with `*` and `?`. What is empty changes nothing."""

    pattern: str
    stations: tuple[str, ...] = ()
    """Scheduled Station AE Titles that a query without one asks for."""
    modalities: tuple[str, ...] = ()
    days_before: int | None = None
    days_after: int | None = None
    """With either, a query without a start date asks for these days around today."""
    max_matches: int | None = None
    form: Form = AS_IT_IS

    def added(self, identifier: Item, calling_ae: str, today: date) -> dict[int, Element]:
        """Keys of the step that this rule adds to a query, by tag."""
        step = identifier.get(STEP_SEQUENCE)
        asked: Item = step.items[0] if step is not None and step.items else {}
        wanted = (
            Element(STATION_AE, "AE", "ScheduledStationAETitle", self.stations_for(calling_ae)),
            Element(MODALITY, "CS", "Modality", self.modalities),
            Element(START_DATE, "DA", "ScheduledProcedureStepStartDate", self._days(today)),
        )
        return {one.tag: one for one in wanted if one.values and is_open(asked.get(one.tag))}

    def stations_for(self, calling_ae: str) -> tuple[str, ...]:
        """`stations`, with the AE title that asks."""
        return tuple(calling_ae if one == CALLING_AE else one for one in self.stations)

    def _days(self, today: date) -> tuple[str, ...]:
        if self.days_before is None and self.days_after is None:
            return ()
        first = "" if self.days_before is None else f"{today - timedelta(self.days_before):%Y%m%d}"
        last = "" if self.days_after is None else f"{today + timedelta(self.days_after):%Y%m%d}"
        return (f"{first}-{last}",)


NO_RULE: Final = ScannerRule("*")


def rule_for(rules: Sequence[ScannerRule], calling_ae: str) -> ScannerRule:
    """The first that fits."""
    return next((rule for rule in rules if like(rule.pattern, calling_ae)), NO_RULE)


def is_open(key: Element | None) -> bool:
    """Whether a key matches every value."""
    return key is None or all(value in ("", "*") for value in key.values)


def with_keys(identifier: Item, added: Item) -> Item:
    """The query with more keys of its step; it stays the same where there are none."""
    if not added:
        return identifier
    step = identifier.get(STEP_SEQUENCE)
    asked: Item = step.items[0] if step is not None and step.items else {}
    inner = Element(STEP_SEQUENCE, "SQ", STEPS, items=({**asked, **added},))
    return {**identifier, STEP_SEQUENCE: inner}


def shaped(item: Attributes, form: Form) -> Attributes:
    """The item with names and characters that the scanner can take, and with what it is always to get."""
    if form.names != "all":
        item = _changed(item, frozenset({"PN"}), lambda value: _name(value, form))
    if form.transliterates:
        foreign = frozenset("".join(_foreign_texts(item)))
        if not any(encodes(sets, foreign) for sets in form.character_sets):
            item = transliterated(item, form.character_sets[0])
    return _completed(item, form.always) if form.always else item


def _completed(item: Attributes, always: Attributes) -> Attributes:
    made = dict(item)
    for keyword, value in always.items():
        held = made.get(keyword)
        if keyword == STEPS and held:
            made[keyword] = [_completed(one, value[0]) for one in held]
        elif not any(texts_of(held)):
            made[keyword] = value
    return made


def _foreign_texts(item: Attributes) -> Iterator[str]:
    """The characters of its texts that are not ASCII."""
    for keyword, value in item.items():
        vr = vr_of(keyword)
        if vr == "SQ":
            for one in value:
                yield from _foreign_texts(one)
        elif vr in TEXT_VRS:
            yield from (foreign_in(one) for one in texts_of(value) if not one.isascii())


def _changed(item: Attributes, vrs: frozenset[str], change: Callable[[str], str]) -> Attributes:
    """With every text of these VRs changed, in items too."""
    made = dict(item)
    for keyword, value in item.items():
        vr = vr_of(keyword)
        if vr == "SQ":
            made[keyword] = [_changed(one, vrs, change) for one in value]
        elif vr in vrs:
            texts = [change(one) for one in texts_of(value)]
            made[keyword] = texts if isinstance(value, list) else "".join(texts)
    return made


def transliterated(item: Attributes, sets: CharacterSets) -> Attributes:
    """The attributes with letters of ASCII in place of what the sets cannot write."""
    return _changed(item, TEXT_VRS, lambda value: value if value.isascii() else _in_sets(value, sets))


def _name(value: str, form: Form) -> str:
    groups = value.split("=")
    # Where the alphabetic group is empty, another one is better than nobody's name.
    first = next((group for group in groups if group.strip("^ ")), "")
    return " ".join(part for part in first.split("^") if part) if form.names == "plain" else first


def _in_sets(value: str, sets: CharacterSets) -> str:
    written = "".join(one if one.isascii() or encodes(sets, frozenset(one)) else _in_ascii(one) for one in value)
    return written.upper() if value.isupper() else written


@lru_cache(maxsize=4096)
def _in_ascii(character: str) -> str:
    return anyascii(character).replace("\\", "/").replace("^", "").replace("=", "") or "?"
