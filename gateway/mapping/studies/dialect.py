"""What `study_to_imagingstudy.yaml` may say, and what is refused in it before any study comes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from zoneinfo import ZoneInfo

from gateway.errors import GatewayError
from gateway.mapping.attributes import BINARY
from gateway.mapping.language.rows import Codes, Dialect, MappingFile, Row, Table
from gateway.mapping.language.values import fit, vr_of
from gateway.mapping.studies.base import LINKED_ORDER, FhirSettings
from gateway.mapping.studies.functions import FUNCTIONS
from gateway.mapping.studies.literals import table_faults

LEVELS: Final = ("study", "series", "instance")
KEYS: Final = ("from", "with", "as", "table", "unknown", "default", "required", "note")
ELEMENTS: Final[dict[str, dict[str, str]]] = {
    "study": {
        "identifier": "Identifier*", "status": "string", "modality": "Coding*", "subject": "Reference",
        "encounter": "Reference", "started": "dateTime", "basedOn": "Reference*", "referrer": "Reference",
        "interpreter": "Reference*", "endpoint": "Reference*", "numberOfSeries": "unsignedInt",
        "numberOfInstances": "unsignedInt", "procedureReference": "Reference", "procedureCode": "CodeableConcept*",
        "location": "Reference", "reasonCode": "CodeableConcept*", "reasonReference": "Reference*",
        "description": "string", "extension": "Extension*",
    },
    "series": {
        "uid": "string", "number": "unsignedInt", "modality": "Coding", "description": "string",
        "numberOfInstances": "unsignedInt", "endpoint": "Reference*", "bodySite": "Coding", "laterality": "Coding",
        "specimen": "Reference*", "started": "dateTime", "performer": "performer*",
        "extension": "Extension*",
    },
    "instance": {"uid": "string", "sopClass": "Coding", "number": "unsignedInt", "title": "string",
                 "extension": "Extension*"},
}  # fmt: skip
"""ImagingStudy by its names in R4, which `imaging_study_r5` turns into those of R5: level -> element -> type; `*` for a
maximum cardinality of *."""
INDISPENSABLE: Final = {"identifier[study]": "study", "status": "study", "subject": "study"}
"""R4 asks for status and subject, and for one Study Instance UID."""
STATUSES: Final = ("registered", "available", "cancelled", "entered-in-error", "unknown")
"""imagingstudy-status, a required binding."""
REFERENCED_ORDERS: Final = "ReferencedOrders"
"""Items of the Request Attributes Sequences of all series and the Referenced Request Sequences of all instances."""
GATHERED: Final = {
    "series": frozenset({"RequestAttributesSequence"}),
    "instance": frozenset({"ReferencedRequestSequence"}),
}
REJECTION: Final = frozenset({"ConceptNameCodeSequence", "CurrentRequestedProcedureEvidenceSequence"})
"""Attributes by which a Key Object Selection rejects instances."""
COMPUTED: Final = frozenset({
    "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances",
    "ModalitiesInStudy", LINKED_ORDER, REFERENCED_ORDERS,
})  # fmt: skip
_TARGET: Final = re.compile(r"([a-zA-Z]+)(?:\[[a-z0-9-]+\])?(?:@(?:R4|R5))?")


def element_of(target: str) -> str:
    """`identifier` of `identifier[accession]@R5`."""
    return target.split("@")[0].split("[")[0]


def release_of(target: str) -> str:
    """The release that a row is for, '' for all: `R5` of `modality@R5`."""
    return target.partition("@")[2]


def read_attributes(file: MappingFile, level: str) -> frozenset[str]:
    """The attributes of instances that rows of a level read."""
    paths = (path for row in file.rows[level] for path in (*row.sources, *row.companions))
    return frozenset(path.split(".")[0] for path in paths) - COMPUTED


def _check_path(path: str) -> str | None:
    *sequences, last = path.split(".")
    for part in (*sequences, last):
        if not vr_of(part) and (part not in COMPUTED or sequences):
            return f"{part!r} is not a DICOM attribute; write its keyword, such as SeriesDescription"
        if part in sequences and vr_of(part) != "SQ":
            return f"{part!r} is no sequence, so nothing can stand in it"
    if BINARY.intersection(vr_of(last).split(" or ")):
        return f"{last!r} is binary and not kept"
    return None


def _check_target(level: str, target: str) -> str | None:
    match = _TARGET.fullmatch(target)
    if match is None or match[1] not in ELEMENTS[level]:
        return f"is not an element of ImagingStudy at this level; it has {', '.join(sorted(ELEMENTS[level]))}"
    if "[" in target and not ELEMENTS[level][match[1]].endswith("*"):
        return f"cannot have a label: {match[1]} is not a list"
    return None


def _check_row(row: Row, tables: Mapping[str, Table]) -> Iterator[str]:
    function, wanted = row.function or "text", ELEMENTS[row.level][element_of(row.target)]
    entry = FUNCTIONS[function]
    given = entry.returns
    if given not in (wanted, wanted.rstrip("*")):
        fits = [name for name, other in FUNCTIONS.items() if other.returns in (wanted, wanted.rstrip("*"))]
        yield f"'as: {function}' gives a {given}, not a {wanted}; use {' or '.join(fits)}"
        return
    for path in row.sources:
        last = path.split(".")[-1]
        kind = "sequence" if vr_of(last) == "SQ" or last == REFERENCED_ORDERS else "text"
        kind = LINKED_ORDER if path == LINKED_ORDER else kind
        if kind not in entry.takes:
            yield f"'as: {function}' cannot take {path!r}; it takes a {' or '.join(entry.takes)}"
    if len(row.companions) > entry.companions:
        yield f"'as: {function}' takes {entry.companions or 'no'} attributes in 'with'"
    if row.table and entry.table is None:
        users = sorted(name for name, other in FUNCTIONS.items() if other.table is not None)
        yield f"'as: {function}' uses no 'table'; {' and '.join(users)} do"
    if entry.table and not row.table:
        yield f"'as: {function}' needs a 'table' {entry.table}"
    if row.unknown != "reject" and not row.table:
        yield "'unknown' says what to do with a code that is not in the row's 'table', and it names none"
    yield from table_faults(row, function, tables)
    if row.default:
        yield from _check_default(row, function, tables)


_OF_UIDS: Final = frozenset({"uid_identifier", "sop_class"})


def _check_default(row: Row, function: str, tables: Mapping[str, Table]) -> Iterator[str]:
    codes = Codes(row.table, tables[row.table].codes, row.unknown) if row.table else None
    if "text" not in FUNCTIONS[function].takes:
        yield f"'as: {function}' can have no default"
        return
    try:
        if function in _OF_UIDS:
            fit("UI", row.default, too_long="reject")
        if not FUNCTIONS[function].function(row.default, (), codes, FhirSettings(ZoneInfo("UTC"), "any")):
            yield f"the default {row.default!r} does not fit 'as: {function}'"
    except GatewayError as error:
        yield f"the default {row.default!r} does not fit: {error.message}"
    if row.target == "status" and row.default not in STATUSES:
        yield f"the default {row.default!r} is not one of {', '.join(STATUSES)}"


STUDY_DIALECT: Final = Dialect(
    name="study_to_imagingstudy",
    levels=LEVELS,
    keys=KEYS,
    functions=FUNCTIONS,
    derivations={},
    indispensable=INDISPENSABLE,
    one_level=False,
    check_path=_check_path,
    check_target=_check_target,
    check_row=_check_row,
)
