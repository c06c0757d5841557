"""What HL7 messages mean to the gateway: types, order control, fields and code tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from gateway.assembly.conformance.dicom_terms import name_of
from gateway.mapping import ORDERS, Mappings
from gateway.mapping.coverage import READ_BY_CODE
from gateway.mapping.language.rows import MappingFile, Row
from gateway.mapping.orders.order_control import ORDER_CONTROL
from gateway.mapping.orders.paths import PATH
from gateway.operations.conformance.sections import StatementSection, StatementTable
from gateway.records.patient import PATIENT_EVENTS, PatientEvent
from gateway.records.step import APPOINTMENTS, RESULTS, StepEvent
from gateway.wire.hl7.field_names import OTHERWISE, field_names


def sections(mappings: Mappings) -> Iterator[StatementSection]:
    """Order control, fields and tables."""
    file = mappings.files[ORDERS]
    yield StatementSection("1.2", "Fields that are read", _FIELDS, tuple(_fields(file)))
    yield StatementSection("1.3", "Code tables", _TABLES, (_order_control(file), *_tables(file)))


def effect_of(kind: str, trigger: str) -> str:
    """What a message of a served type does."""
    if kind == "ADT":
        return PATIENT_WORDS[PATIENT_EVENTS[trigger]]
    if kind == "SIU":
        return STEP_WORDS[APPOINTMENTS[trigger]]
    if kind == "ORU":
        return f"with OBR-25 {', '.join(sorted(RESULTS))}: {STEP_WORDS[StepEvent.COMPLETE]}; else: nothing moves"
    return "as ORC-1 with ORC-5 states (table order_control), for each order group"


PATIENT_WORDS: Final = {
    PatientEvent.UPDATE: "the patient is created or updated, also in orders that are open",
    PatientEvent.ARRIVE: "the patient is updated; scheduled steps of that day become ARRIVED",
    PatientEvent.LEAVE_VISIT: "what held for the visit is taken back",
    PatientEvent.DELETE: "all but the Patient ID is forgotten; refused (AE) while steps are to be done",
    PatientEvent.MERGE: "the patient of MRG-1 is merged into that of PID-3, with all orders",
    PatientEvent.CHANGE_ID: "the Patient ID of MRG-1 becomes that of PID-3",
}
STEP_WORDS: Final = {
    StepEvent.NEW: "the order is created, or updated where it is known",
    StepEvent.CHANGE: "the order is updated, or created where it is not known",
    StepEvent.ENSURE: "the order is created where it is not known; nothing moves",
    StepEvent.ARRIVE: "the steps become ARRIVED",
    StepEvent.CANCEL: "the order is cancelled; refused (AE) while the examination is in progress",
    StepEvent.DISCONTINUE: "what has not begun is cancelled; what runs is the modality's to end",
    StepEvent.HOLD: "the steps are held; refused (AE) while the examination is in progress",
    StepEvent.RELEASE: "held steps are scheduled again",
    StepEvent.COMPLETE: "the steps are completed",
    StepEvent.STATUS: "nothing moves; the message is kept with the order",
    StepEvent.RESCHEDULE: "the steps are moved to the date, time, room and station of the message",
    StepEvent.CANCEL_APPOINTMENT: "the appointment is cancelled, the order stands",
    StepEvent.PARENT: "the order is carried out as its children",
    StepEvent.RESPONSE: "an answer to something that the gateway has not asked: kept only",
}


# Fields


def _fields(file: MappingFile) -> Iterator[StatementTable]:
    used: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for segment, number, use in (*_protocol(), *_of_code(), *_of_rows(file)):
        if use not in used[segment][number]:
            used[segment][number].append(use)
    names = field_names(OTHERWISE)
    for segment in sorted(used, key=_place_of):
        rows = [
            (f"{segment}-{number}" if number else segment, names.get(f"{segment}-{number}", "–"), "; ".join(uses))
            for number, uses in sorted(used[segment].items())
        ]
        yield StatementTable(segment, ("Field", f"Name in HL7 {OTHERWISE}", "What it is for"), rows)


def _place_of(segment: str) -> tuple[int, str]:
    return (_ORDER.index(segment) if segment in _ORDER else len(_ORDER)), segment


_ORDER: Final = ("MSH", "EVN", "PID", "MRG", "PV1", "AL1", "GSP", "GSC", "ORC", "TQ1", "OBR", "NTE", "DG1", "OBX",
                 "IPC", "ZDS", "SCH", "AIS", "AIL")  # fmt: skip


def _of_rows(file: MappingFile) -> Iterator[tuple[str, int, str]]:
    for rows in file.rows.values():
        for row in rows:
            for path in (*row.sources, *row.companions):
                if (match := PATH.fullmatch(path)) is not None:
                    yield match["segment"], int(match["field"] or 0), f"{_target(row)} (`{path}`)"


def _target(row: Row) -> str:
    return name_of(row.target)


def _protocol() -> Iterator[tuple[str, int, str]]:
    yield from (("MSH", number, use) for number, use in MSH.items())


def _of_code() -> Iterator[tuple[str, int, str]]:
    yield from ((segment, number, BY_CODE[segment, number]) for segment, number in sorted(READ_BY_CODE))


MSH: Final = {
    1: "field separator",
    2: "encoding characters",
    3: "which sender it is",
    4: "which sender it is; issuer of what names none",
    5: "MSH-3 of the answer",
    6: "MSH-4 of the answer",
    7: "when it was stated: an older message does not undo a newer one",
    9: "what it is",
    10: "that it is not taken twice",
    11: "T, D: for training",
    12: "version of the answer and of the structure check",
    15: "enhanced mode: which accept acknowledgement is wanted",
    16: "enhanced mode: which application acknowledgement is wanted",
    18: "character sets",
}
BY_CODE: Final = {
    ("EVN", 2): "when it was stated",
    ("MRG", 1): "the patient that is merged or renamed",
    ("MRG", 4): "the patient that is merged or renamed, in older versions",
    ("ORC", 1): "what happens to the order",
    ("ORC", 2): "placer order number: which order",
    ("ORC", 3): "filler order number: which order",
    ("ORC", 5): "what happens to the order",
    ("ORC", 8): "the parent of the order",
    ("ORC", 9): "when it was stated",
    ("OBR", 2): "placer order number: which order",
    ("OBR", 3): "filler order number: which order",
    ("OBR", 18): "accession number: which order",
    ("OBR", 19): "requested procedure",
    ("OBR", 25): "whether the examination is done (ORU)",
    ("IPC", 10): "which step is withdrawn",
    ("SCH", 1): "appointment: which order",
    ("SCH", 2): "appointment: which order",
    ("SCH", 26): "placer order number: which order",
    ("SCH", 27): "filler order number: which order",
}


# Tables


def _order_control(file: MappingFile) -> StatementTable:
    rows = []
    for code, event in file.tables[ORDER_CONTROL].codes.items():
        control, _, status = code.partition("/")
        rows.append(
            (control, status or "any other", event or "–", STEP_WORDS[StepEvent(event)] if event else "as unknown")
        )
    columns = ("ORC-1 (table 0119)", "ORC-5 (table 0038)", "Event", "What happens")
    return StatementTable("Table order_control", columns, rows)


def _tables(file: MappingFile) -> Iterator[StatementTable]:
    users: dict[str, list[str]] = defaultdict(list)
    for rows in file.rows.values():
        for row in rows:
            if row.table:
                users[row.table].append(_target(row))
    for name, targets in sorted(users.items()):
        rows_of_table: Sequence[tuple[str, ...]] = [
            (code, value or "(no value)") for code, value in file.tables[name].codes.items()
        ]
        yield StatementTable(f"Table {name}, for {', '.join(targets)}", ("Code", "Value"), rows_of_table)


_FIELDS: Final = """\
Fields by segment, with the attribute of the worklist that each may fill and the path by which it is read. Of several
fields that fill an attribute the first with a value counts (`gateway conformance dicom`, N.11, has them in their
order). Fields that are not listed are kept with the message and not read."""
_TABLES: Final = """\
Codes as the files in force have them; a site lays its own over them. A code that a table lacks refuses the message
(AE 103), is left out or is kept, as the row of the mapping states."""
