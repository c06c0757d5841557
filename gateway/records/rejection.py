"""What of a study does not count any more: what a Key Object Selection rejected (IHE RAD IOCM; PS3.16 CID 7010, 7011),
or all of it when a person withdrew it, or when all of its instances are of other studies now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.records.order import Attributes
from gateway.records.study import Instance, Series, Study

KEY_OBJECT_SELECTION: Final = "1.2.840.10008.5.1.4.1.1.88.59"
WRONG: Final = frozenset({"113001", "113037", "113038"})
"""Rejected for quality, for patient safety, or for a wrong worklist entry: these instances are not of the study."""
EXPIRED: Final = "113039"
"""Retention expired: they were of the study, and can no longer be retrieved."""

TO_BE_READ_AGAIN: Final = -1
"""In place of the number that is rejected: what its instances state together is not known until they are read again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A study without what was rejected."""

    study: Study
    entered_in_error: bool
    """Everything in it was rejected or moved to other studies, or it was withdrawn."""
    retrievable: bool
    """Something of it is still kept where it can be retrieved."""


def rejected(instances: Iterable[Instance]) -> frozenset[str]:
    """SOP Instance UIDs that the rejection notes among these instances call wrong; also of what has not come."""
    return frozenset(uid for title, note in _notes(instances) if title in WRONG for uid in _referenced(note.attributes))


def not_served(instances: Iterable[Instance]) -> frozenset[str]:
    """SOP Instance UIDs of whatever is not retrieved any more: what the rejection notes among these instances name, for
    whichever reason, and the notes themselves."""
    notes = [note for _, note in _notes(instances)]
    return frozenset(uid for note in notes for uid in (note.uid, *_referenced(note.attributes)))


def counting(all_series: tuple[Series, ...]) -> tuple[Series, ...]:
    """What of a study is not rejected as wrong, without the notes; all of it where nothing is left, since somebody
    must state whose study it was."""
    members = _members(all_series)
    gone = rejected(members)
    left = _without(all_series, gone | {note.uid for _, note in _notes(members)}) if gone else all_series
    return left or all_series


def number_rejected(all_series: tuple[Series, ...]) -> int:
    """How many instances of a study are rejected as wrong."""
    members = _members(all_series)
    gone = rejected(members)
    return sum(one.uid in gone for one in members) if gone else 0


def standing(study: Study) -> Standing:
    """What is left of a study after its rejection notes, which are not counted themselves."""
    if study.withdrawn:
        return Standing(replace(study, series=()), True, False)
    members = _members(study.series)
    notes = list(_notes(members))
    if not notes:
        has_moved = not members and bool(study.moved)
        return Standing(study, has_moved, not has_moved)
    wrong = rejected(members)
    expired = {uid for title, note in notes if title == EXPIRED for uid in _referenced(note.attributes)}
    kept = _without(study.series, wrong | {note.uid for _, note in notes})
    left = {one.uid for one in _members(kept)}
    in_error = not left and bool(wrong or study.moved)
    return Standing(replace(study, series=kept), in_error, bool(left - expired))


def _members(all_series: Iterable[Series]) -> list[Instance]:
    return [one for series in all_series for one in series.instances]


def _notes(instances: Iterable[Instance]) -> Iterator[tuple[str, Instance]]:
    """(code of the title, note) of each rejection note."""
    for one in instances:
        if one.sop_class_uid == KEY_OBJECT_SELECTION and (title := _title(one)) in WRONG | {EXPIRED}:
            yield title, one


def _without(all_series: tuple[Series, ...], gone: Collection[str]) -> tuple[Series, ...]:
    """The series without these instances; one of which nothing is left is none."""
    return tuple(
        replace(series, instances=held)
        for series in all_series
        if (held := tuple(one for one in series.instances if one.uid not in gone))
    )


def _title(selection: Instance) -> str:
    """The code of the document title of a Key Object Selection, '' if DICOM does not define it."""
    titles = selection.attributes.get("ConceptNameCodeSequence")
    if not isinstance(titles, list) or not titles:
        return ""
    return str(titles[0].get("CodeValue") or "") if titles[0].get("CodingSchemeDesignator") == "DCM" else ""


def _referenced(attributes: Attributes) -> Iterator[str]:
    for study in _items(attributes, "CurrentRequestedProcedureEvidenceSequence"):
        for series in _items(study, "ReferencedSeriesSequence"):
            for one in _items(series, "ReferencedSOPSequence"):
                yield str(one.get("ReferencedSOPInstanceUID") or "")


def _items(holder: Attributes, keyword: str) -> list[dict[str, Any]]:
    value = holder.get(keyword)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
