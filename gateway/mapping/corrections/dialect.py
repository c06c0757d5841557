"""What `corrections.yaml` may say, and what is refused in it before any instance is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, get_args

from pydicom.datadict import tag_for_keyword

from gateway.errors import GatewayError
from gateway.mapping.corrections.scope import check
from gateway.mapping.language.literals import literal_of
from gateway.mapping.language.rows import Dialect, Row, Table
from gateway.mapping.language.values import vr_of
from gateway.records.correction import CorrectionSet

KEYS: Final = ("from", "table", "default", "note")
LEVELS: Final[tuple[str, ...]] = get_args(CorrectionSet)
_TEXTS: Final = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UT"})
_FIRST_GROUP: Final = 0x0008
_GROUPS_KEPT: Final = frozenset({0x0028, 0x0400})
"""What describes the pixels; what earlier corrections and signatures state."""
_LAST_GROUP: Final = 0x4FFF
_KEPT: Final = frozenset({"SpecificCharacterSet", "ImageType"})
"""What says how the rest is read."""


def _check_target(_level: str, target: str) -> str | None:
    tag, vr = tag_for_keyword(target), vr_of(target)
    if tag is None or not vr:
        return "is not a DICOM attribute; write its keyword, such as PatientID"
    group = tag >> 16
    is_kept = target in _KEPT or group in _GROUPS_KEPT or not _FIRST_GROUP <= group <= _LAST_GROUP
    if is_kept or vr not in (*_TEXTS, "SQ"):
        return "cannot be corrected: UIDs, numbers, and what says how an instance is read stay as they came"
    return None


def _check_row(row: Row, _tables: Mapping[str, Table]) -> Iterator[str]:
    is_sequence = vr_of(row.target) == "SQ"
    for path in row.sources:
        if (vr_of(path.rpartition(".")[2]) == "SQ") is not is_sequence:
            path_is, target_is = ("no", "one") if is_sequence else ("a", "none")
            yield f"{path!r} is {path_is} sequence, and {row.target} is {target_is}"
    if is_sequence and (row.table or row.default):
        yield "'table' and 'default' are for texts, and the attribute is a sequence"
    elif row.default:
        try:
            literal_of(row.target, row.default)
        except GatewayError as error:
            yield f"the default {row.default!r} does not fit: {error.message}"


CORRECTION_DIALECT: Final = Dialect(
    name="corrections",
    levels=LEVELS,
    keys=KEYS,
    functions={},
    derivations={},
    indispensable={},
    one_level=True,
    check_path=check,
    check_target=_check_target,
    check_row=_check_row,
)
