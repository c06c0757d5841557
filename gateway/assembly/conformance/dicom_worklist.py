"""Modality Worklist as SCP (N.5.2.7): the keys with their matching and return types, and what scanners are answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.datadict import dictionary_VR, keyword_for_tag

from gateway.assembly.conformance.dicom_terms import name_of, number_of, tag_of
from gateway.config.dicom import Dicom
from gateway.config.tree import Config
from gateway.journey.worklist.station import WITHOUT_MAPPING
from gateway.mapping import Mappings
from gateway.operations.conformance.sections import StatementSection, StatementTable
from gateway.records.step import PUBLISHED, StepState
from gateway.wire.dimse.course import OF_QUERIES
from gateway.wire.dimse.services import MAX_IDENTIFIER_BYTES
from gateway.worklist import keys

STEP_SEQUENCE: Final = "ScheduledProcedureStepSequence"
COLUMNS: Final = ("Attribute Name", "Tag", "VR", "Matching key", "Matching Type", "Return key")


def sections(config: Config, mappings: Mappings) -> Iterator[StatementSection]:
    """The worklist."""
    text = _WORKLIST.format(
        bytes=MAX_IDENTIFIER_BYTES, elements=OF_QUERIES.elements, values=OF_QUERIES.values,
        matches=config.dicom.max_worklist_matches,
        unknown="FF01" if config.dicom.warn_of_unknown_keys else "FF00",
        implicit=_IMPLICIT if config.dicom.pn_implicit_wildcard else "",
    )  # fmt: skip
    tables = (*_keys(mappings), _states(config.dicom), _scanners(mappings))
    yield StatementSection("N.5.2.7", "Modality Worklist SCP", text, tables)


def _keys(mappings: Mappings) -> Iterator[StatementTable]:
    levels = {one.row.target: level for level, rows in mappings.orders.rows.items() for one in rows}
    step = sorted({*keys.OF_STEP, *(key for key, level in levels.items() if level == "step")}, key=tag_of)
    given = {str(keyword_for_tag(tag)) for tag in WITHOUT_MAPPING} - {""}
    root = {*keys.OF_ROOT, *given, *(key for key, level in levels.items() if level != "step")} - {*keys.OF_STEP}
    rows = [_key(one, keys.OF_ROOT) for one in sorted(root, key=tag_of)]
    yield StatementTable("Attributes beside the step", COLUMNS, rows)
    title = f"Attributes within the {name_of(STEP_SEQUENCE)}"
    yield StatementTable(title, COLUMNS, [_key(one, keys.OF_STEP) for one in step])


def _key(keyword: str, table: dict[str, keys.KeyTypes]) -> tuple[str, ...]:
    types, vr = table.get(keyword, keys.OTHERS), dictionary_VR(number_of(keyword))
    matching = keys.matching_of(vr, types)
    return name_of(keyword), tag_of(keyword), vr, types.matching or "–", matching or "–", types.returned


def _states(dicom: Dicom) -> StatementTable:
    rows = [(state, PUBLISHED[state], "N" if state in dicom.hidden_states else "Y") for state in StepState]
    columns = ("State of the step", "Scheduled Procedure Step Status", "In the worklist")
    return StatementTable("States of scheduled steps", columns, rows)


def _scanners(mappings: Mappings) -> StatementTable:
    rows = [
        (
            rule.pattern, ", ".join(rule.stations) or "–", ", ".join(rule.modalities) or "–",
            _days(rule.days_before, rule.days_after), "–" if rule.max_matches is None else str(rule.max_matches),
            "; ".join("\\".join(sets) for sets in rule.form.character_sets) or "as the query names",
        )
        for rule in mappings.scanners
    ]  # fmt: skip
    columns = ("Calling AE titles", "Stations added", "Modalities added", "Days added", "Matches", "Character sets")
    return StatementTable("What is added to the queries of single scanners", columns, rows or [("none", *["–"] * 5)])


def _days(before: int | None, after: int | None) -> str:
    if before is None and after is None:
        return "–"
    return f"{'' if before is None else before} before to {'' if after is None else after} after today"


_IMPLICIT: Final = " A name key without a wildcard matches as if it ended with `*`."
_WORKLIST: Final = """\
One scheduled procedure step for each match. Zero length, or a lone `*`, matches all. Names are compared without
regard to case and accents, and where fuzzy matching has been agreed also by their words in any order, by beginnings
of words, and with a slip of the pen; Modality and Scheduled Procedure Step Status without regard to case.{implicit} A
stored value that is empty matches a universal key only. Start date and start time are one range together.

Private attributes are not matched, and answered with zero length. An attribute that is not listed is answered with
zero length; a match of a query that asks for attributes that no item holds is {unknown}. C-CANCEL ends a query with
FE00. A query that matches more than {matches} steps gets these and then A700. An identifier of more than {bytes:,}
bytes, {elements:,} elements and items or {values:,} values, as inflated, is refused with A700. What a site's mapping
rows add or take away is in these tables."""
