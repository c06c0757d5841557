"""The keys of a search for studies: what the database selects by, and whether that is all (PS3.18 8.3.4, 10.6)."""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.records.study_search import Conditions
from gateway.worklist.items import Element, Item
from gateway.worklist.matching import ACCESSION, MODALITY, PATIENT_ID, PATIENT_NAME, STUDY_DATE, STUDY_UID, is_universal
from gateway.worklist.prefilter import days_of, exact, listed, name_prefix

SERIES_UID: Final = 0x0020000E
SOP_UID: Final = 0x00080018
SOP_CLASS: Final = 0x00080016
MODALITIES: Final = 0x00080061
_UIDS: Final = {
    STUDY_UID: "study_uids", SERIES_UID: "series_uids", SOP_UID: "sop_uids", SOP_CLASS: "sop_class_uids",
}  # fmt: skip
_EXACT: Final = {PATIENT_ID: "patient_ids", ACCESSION: "accession_numbers"}
_CODES: Final = {MODALITY: "modalities", MODALITIES: "modalities_in_study"}


class Selection(NamedTuple):
    """What the database selects by."""

    conditions: Conditions
    is_all: bool
    """Whatever fulfils the conditions matches; else the rules of matching decide."""


def selection_of(keys: Item, *, fuzzy: bool) -> Selection:
    """Raises `InvalidValue` for a date that is none. `fuzzy`: names are compared loosely."""
    made: dict[str, object] = {}
    is_all = True
    for tag, key in keys.items():
        if is_universal(key):
            continue
        conditions = _condition(keys, tag, key, fuzzy=fuzzy)
        made |= conditions or {}
        is_all &= conditions is not None and tag != PATIENT_NAME
    return Selection(Conditions(**made), is_all)  # type: ignore[arg-type]


def _condition(keys: Item, tag: int, key: Element, *, fuzzy: bool) -> dict[str, object] | None:
    """The conditions of a key; None: there are none, or they do not say all."""
    if tag in _UIDS:
        return {_UIDS[tag]: tuple(listed(keys, tag))}
    if tag in _EXACT or tag in _CODES:
        value = exact(keys, tag)
        if value is None:
            return None
        return {_EXACT[tag]: (value,)} if tag in _EXACT else {_CODES[tag]: (value.upper(),)}
    if tag == STUDY_DATE and len(key.values) == 1:
        first, last = days_of(keys, STUDY_DATE)
        return {"date_from": first or "", "date_to": last or ""}
    if tag == PATIENT_NAME and not fuzzy:
        return {"name_prefix": name_prefix(listed(keys, tag)) or ""}
    return None
