"""What `order_to_worklist.yaml` may say, and what is refused in it before any message comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from zoneinfo import ZoneInfo

from gateway.errors import GatewayError
from gateway.mapping.identifiers import DERIVATIONS
from gateway.mapping.language.rows import Codes, Dialect, Row, Table
from gateway.mapping.language.values import INTEGERS, MAX_LENGTH, NEVER_CUT, vr_of
from gateway.mapping.orders.functions import FUNCTIONS
from gateway.mapping.orders.items import coded
from gateway.mapping.orders.paths import check, is_whole_segment
from gateway.mapping.orders.row_values import CompiledRow, default_of
from gateway.mapping.orders.settings import Settings

LEVELS: Final = ("patient", "visit", "order", "procedure", "step")
KEYS: Final = ("from", "as", "table", "unknown", "default", "otherwise", "required", "too_long", "note")
INDISPENSABLE: Final = {
    "PatientID": "patient",
    "StudyInstanceUID": "procedure",
    "RequestedProcedureID": "procedure",
    "ScheduledProcedureStepID": "step",
}
"""By these the worklist tells patients, procedures and steps apart: they always have a value."""
IDENTIFIERS: Final = frozenset({
    *INDISPENSABLE, "IssuerOfPatientID", "AccessionNumber", "AdmissionID", "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
})  # fmt: skip
"""Part of an identifier is another one: never cut."""
OWN: Final = frozenset({
    "SpecificCharacterSet", "ScheduledProcedureStepSequence", "ScheduledProcedureStepStatus",
})  # fmt: skip
"""What the worklist itself says in an answer."""


def _check_target(_level: str, target: str) -> str | None:
    vr = vr_of(target)
    if not vr:
        return "is not a DICOM attribute; write its keyword, such as AccessionNumber"
    if target in OWN:
        return "is set by the gateway itself"
    if vr not in MAX_LENGTH and vr not in INTEGERS and vr != "SQ":
        return f"has the value representation {vr}, which no row can fill"
    return None


def _check_row(row: Row, tables: Mapping[str, Table]) -> Iterator[str]:
    function, vr = row.function or "text", vr_of(row.target)
    wanted = vr if vr in {entry.returns for entry in FUNCTIONS.values()} else ""
    given = FUNCTIONS[function].returns
    if wanted != given:
        fits = [name for name, entry in FUNCTIONS.items() if entry.returns == wanted]
        yield f"'as: {function}' gives no {vr}; use {' or '.join(fits) if wanted else 'a function that gives text'}"
        return
    whole_segment = {name for name, entry in FUNCTIONS.items() if "segment" in entry.takes}
    for path in row.sources:
        if is_whole_segment(path) and function not in whole_segment:
            yield f"{path!r} names a segment without a field, which only {' and '.join(sorted(whole_segment))} take"
        if function in whole_segment and not is_whole_segment(path):
            yield f"'as: {function}' takes segments without a field, such as OBX*, not {path!r}"
    takes_table = not given or FUNCTIONS[function].table is not None
    if row.table and not takes_table:
        yield f"'table' translates texts, and 'as: {function}' gives none"
    if row.unknown != "reject" and not row.table:
        yield "'unknown' says what to do with a code that is not in the row's 'table', and it names none"
    if row.too_long == "cut" and (row.target in IDENTIFIERS or vr in NEVER_CUT):
        yield "'too_long: cut' would make another value of it; leave it out"
    codes = Codes(row.table, tables[row.table].codes, row.unknown) if row.table and takes_table else None
    if codes is not None:
        yield from _check_codes(codes) if given else _check_table(row, codes)
    yield from _check_default(row, codes, vr)


def _check_default(row: Row, codes: Codes | None, vr: str) -> Iterator[str]:
    if row.default:
        try:
            value, _, remark = default_of(CompiledRow.of(row, codes), Settings(ZoneInfo("UTC")))
            if vr == "SQ" and not value:
                yield f"the default {row.default!r} does not fit: {remark or 'it gives no item'}"
        except GatewayError as error:
            yield f"the default {row.default!r} does not fit: {error.message}"


def _check_table(row: Row, codes: Codes) -> Iterator[str]:
    """What the table gives and the attribute cannot hold."""
    compiled, is_list = CompiledRow.of(row, codes), FUNCTIONS[row.function or "text"].is_list
    for code, meant in codes.codes.items():
        try:
            compiled.finish([code] if is_list else code)
        except GatewayError as error:
            yield f"the table {row.table!r} gives {meant!r} for {code!r}: {error.message}"


def _check_codes(codes: Codes) -> Iterator[str]:
    """What the table gives for a code and is no code with scheme and meaning that fits its attributes."""
    for code, meant in codes.codes.items():
        try:
            item = coded(meant) if meant else None
        except GatewayError as error:
            yield f"the table {codes.table!r} gives {meant!r} for {code!r}: {error.message}"
            continue
        if meant and item is None:
            yield f"the table {codes.table!r} gives {meant!r} for {code!r}; write code|scheme|meaning"


ORDER_DIALECT: Final = Dialect(
    name="order_to_worklist",
    levels=LEVELS,
    keys=KEYS,
    functions=FUNCTIONS,
    derivations=DERIVATIONS,
    indispensable=INDISPENSABLE,
    one_level=True,
    check_path=check,
    check_target=_check_target,
    check_row=_check_row,
)
