"""Annexes: attribute mapping from HL7, character sets, attributes of later editions, attributes that are coerced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.datadict import dictionary_VR

from gateway.assembly.conformance.dicom_terms import name_of, number_of, shown, tag_of
from gateway.assembly.conformance.mapping_rows import how_of
from gateway.dicom_dictionary import ADDED
from gateway.mapping import CORRECTIONS, ORDERS, Mappings
from gateway.operations.conformance.sections import StatementSection, StatementTable
from gateway.records.correction import REASONS
from gateway.worklist.encoding import REGIONAL, UTF_8

LEVELS: Final = {
    "patient": "Patient",
    "visit": "Visit",
    "order": "Imaging Service Request",
    "procedure": "Requested Procedure",
    "step": "Scheduled Procedure Step",
}
"""Level of a mapping row -> module of PS3.4 Table K.6-1."""


def sections(mappings: Mappings) -> Iterator[StatementSection]:
    """N.9 to N.12."""
    yield StatementSection("N.9", "Character sets", _CHARACTER_SETS, (_character_sets(),))
    yield StatementSection("N.10", "Attributes of later editions", _LATER, (_later(),))
    yield StatementSection("N.11", "Attribute mapping from HL7", _MAPPING, tuple(_mapping(mappings)))
    yield StatementSection("N.12", "Attributes that are coerced", _COERCED, (_coerced(mappings),))


def _character_sets() -> StatementTable:
    sets = ["ISO_IR 6 (default)", *("\\".join(one) for one in REGIONAL), "\\".join(UTF_8)]
    return StatementTable(
        "Sets that the gateway chooses by itself, in this order", ("Specific Character Set",), [(one,) for one in sets]
    )


def _later() -> StatementTable:
    rows = [(one.name, shown(one.tag), one.vr, one.vm, one.edition) for one in sorted(ADDED)]
    return StatementTable("Attributes", ("Attribute Name", "Tag", "VR", "VM", "Edition"), rows)


def _mapping(mappings: Mappings) -> Iterator[StatementTable]:
    columns = ("Attribute Name", "Tag", "VR", "HL7 fields, the first with a value", "How")
    for level, rows in mappings.files[ORDERS].rows.items():
        cells = [
            (name_of(one.target), tag_of(one.target), dictionary_VR(number_of(one.target)),
             ", ".join(one.sources) or "–", how_of(one))
            for one in rows
        ]  # fmt: skip
        yield StatementTable(LEVELS[level], columns, cells)


def _coerced(mappings: Mappings) -> StatementTable:
    columns = ("Attribute Name", "Tag", "Level", "Reason", "Values, the first with a value", "How")
    rows = [
        (name_of(one.target), tag_of(one.target), level, REASONS[level], ", ".join(one.sources) or "–", how_of(one))
        for level in REASONS
        for one in mappings.files[CORRECTIONS].rows[level]
    ]
    return StatementTable("Attributes", columns, rows)


_CHARACTER_SETS: Final = """\
Requests are read in every set of PS3.3 C.12.1.1.2 that pydicom reads, with code extensions. An answer is in the set
that the request names if that can hold it, else in the first of these that can; a row of `scanners.yaml` may name
others."""
_LATER: Final = """\
Attributes of the standard's editions since 2024d that this version knows beside those of pydicom's dictionary; they
are read, kept, answered and written in every transfer syntax."""
_MAPPING: Final = """\
Where the attributes of the worklist come from, as the mapping files in force have it
(`mappings/order_to_worklist.yaml` and the site's overlay). `PID-3.4` is component 4 of the field, `*` all
repetitions, `PATIENT/NTE` the NTE behind PID; names that begin with `site.` and `source.` are of the configuration."""
_COERCED: Final = """\
Attributes that get another value in instances on their way to destinations that are configured so (`corrections`),
as the mapping files in force have it (`mappings/corrections.yaml` and the site's overlay). Previous values are kept in
Original Attributes Sequence (0400,0561). `survivor` is the patient of an instance that does not have today's Patient
ID."""
