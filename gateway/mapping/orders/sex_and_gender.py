"""Names to use, pronouns, gender identity and sex parameters for clinical use (HL7 2.9.1 GSP and GSC; PS3.3 C.7.2.2).

They stand beside Patient's Name and Patient's Sex, which come from PID-5 and PID-8 alone. An item whose validity or
code cannot be read is left out whole: a half of it could mean another thing.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.errors import InvalidValue
from gateway.mapping.orders.identifiers import code_sequence
from gateway.mapping.orders.leaves import leaf, leaves
from gateway.mapping.orders.scope import Repetition, Value
from gateway.mapping.orders.settings import Settings
from gateway.mapping.orders.times import DAY, HOUR, local_moment, parse_dtm

Item = dict[str, Any]

NICKNAME: Final = "N"
"""HL7 table 0200."""
GENDER_IDENTITY: Final = ("76691-5", "GENDER IDENTITY")
PRONOUNS: Final = ("90778-2", "PERSONAL PRONOUNS", "PRONOUNS")
"""GSP-4, LOINC; the texts for senders that give no code."""
_DELETED: Final = "D"
"""HL7 table 0206: what the segment states holds no longer."""
_FAMILY_FIRST: Final = "F"
"""HL7 table 0444."""
_IDEOGRAPHIC: Final = "I"


def names_to_use(value: Value, settings: Settings) -> list[Item]:
    """XPN of type N (nickname): Name to Use as it is spoken, and from when to when it is used."""
    items = []
    for repetition in value:
        name = _spoken(repetition) if leaf(repetition, 7) == NICKNAME else ""
        if name:
            start, stop = leaf(repetition, 12) or leaf(repetition, 10), leaf(repetition, 13) or leaf(repetition, 10, 2)
            items.append({"NameToUse": name} | _validity(start, stop, settings))
    return items


def pronouns(value: Value, settings: Settings) -> list[Item] | None:
    """GSP of the concept 90778-2 (LOINC): pronouns, comment, from when to when."""
    return _concept(value, PRONOUNS, "PronounCodeSequence", "PronounComment", settings)


def gender_identity(value: Value, settings: Settings) -> list[Item] | None:
    """GSP of the concept 76691-5 (LOINC): gender identity, comment, from when to when."""
    return _concept(value, GENDER_IDENTITY, "GenderIdentityCodeSequence", "GenderIdentityComment", settings)


def sex_parameters(value: Value, settings: Settings) -> list[Item] | None:
    """GSC: sex parameters for clinical use, comment, evidence if it is a URI, from when to when."""
    items = []
    for segment in value:
        if leaf(segment, 2).upper() != _DELETED:
            item = _coded(
                segment, 4, "SexParametersForClinicalUseCategoryCodeSequence",
                (8, "SexParametersForClinicalUseCategoryComment"), settings,
            )  # fmt: skip
            items.append(item | _validity(leaf(segment, 5, 1), leaf(segment, 5, 2), settings) | _evidence(segment))
    return _stated(items, value)


def _concept(value: Value, concept: tuple[str, ...], code: str, comment: str, settings: Settings) -> list[Item] | None:
    concerned = [one for one in value if _is_of(one, concept)]
    items = [
        _coded(one, 5, code, (7, comment), settings) | _validity(leaf(one, 6, 1), leaf(one, 6, 2), settings)
        for one in concerned
        if leaf(one, 2).upper() != _DELETED
    ]
    return _stated(items, concerned)


def _is_of(segment: Repetition, concept: tuple[str, ...]) -> bool:
    code, text = leaf(segment, 4, 1).upper(), leaf(segment, 4, 2).upper()
    return code in concept or (not code and text in concept)


def _stated(items: list[Item], concerned: Value) -> list[Item] | None:
    """None, which deletes what is kept, where the message only takes back."""
    return items if items or not concerned else None


def _coded(segment: Repetition, field: int, code: str, comment: tuple[int, str], settings: Settings) -> Item:
    parts = segment[field - 1] if len(segment) >= field else []
    item: Item = {code: code_sequence([[[part] for part in parts]], settings)}
    if remark := leaf(segment, comment[0]):
        item[comment[1]] = remark
    return item


def _evidence(segment: Repetition) -> Item:
    stated = leaf(segment, 7)
    return {"SexParametersForClinicalUseCategoryReference": stated} if ":" in stated else {}


def _spoken(name: Repetition) -> str:
    """Given and middle name before the family name, unless the name says otherwise (XPN.8, XPN.11)."""
    family, given, middle = leaves(name, 1, 3)
    before = f"{given} {middle}".strip()
    is_family_first = leaf(name, 11).upper() == _FAMILY_FIRST or leaf(name, 8).upper() == _IDEOGRAPHIC
    return " ".join(filter(None, (family, before) if is_family_first else (before, family)))


def _validity(start: str, stop: str, settings: Settings) -> Item:
    stated = {"EffectiveStartDateTime": start, "EffectiveStopDateTime": stop}
    return {keyword: _date_time(written, settings) for keyword, written in stated.items() if written}


def _date_time(written: str, settings: Settings) -> str:
    """DTM -> DT in the site's zone, as exact as it is written; what is none as it is, which no DT takes."""
    try:
        moment, digits = parse_dtm(written, settings.message_zone or settings.zone)
        if digits < HOUR:
            return f"{moment.year:04}{moment.month:02}{moment.day:02}"[: min(digits, DAY)]
        day, time = local_moment(written, settings)
    except InvalidValue:
        return written
    return day + time
