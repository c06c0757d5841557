"""What `step_to_status.yaml` may say, and what is refused in it before any step is performed."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from typing import Final

from gateway.mapping.language.rows import Dialect, Row, Table
from gateway.mapping.status import scope
from gateway.mapping.status.functions import FUNCTIONS
from gateway.mapping.status.shapes import SEGMENTS, SHAPES

KEYS: Final = ("from", "with", "as", "table", "unknown", "default", "required", "note")
INDISPENSABLE: Final = {"PID-3": "PID", "ORC-1": "ORC", "ORC-5": "ORC", "OBR-4": "OBR"}
"""Without them no RIS can tell which order has come to what."""
_TYPES: Final = tuple(kind[:3] for kind in SHAPES)
_TARGET: Final = re.compile(r"([A-Z][A-Z0-9]{2})-([1-9]\d?)(?:@([A-Z]{3}))?", re.ASCII)


def field_of_target(target: str) -> int:
    """18 of `OBR-18@OMI`."""
    match = _TARGET.fullmatch(target)
    assert match is not None, target
    return int(match[2])


def type_of(target: str) -> str:
    """The message type (MSH-9.1) that a row is for, '' for all: `OMI` of `OBR-18@OMI`."""
    return target.partition("@")[2]


def holds_for(target: str, targets: Container[str], code: str) -> bool:
    """Whether a row of `targets` is used in messages of MSH-9.1 `code`: its own in place of those for all."""
    of_type = type_of(target)
    return of_type == code or (not of_type and f"{target}@{code}" not in targets)


def _check_target(level: str, target: str) -> str | None:
    match = _TARGET.fullmatch(target)
    if match is None or match[1] != level:
        return f"is no field of {level}; write {level} with a number, such as {level}-1"
    if match[3] and match[3] not in _TYPES:
        return f"{match[3]} is no type of a status; there are {', '.join(_TYPES)}"
    return None


def _check_row(row: Row, tables: Mapping[str, Table]) -> Iterator[str]:
    entry = FUNCTIONS[row.function or "text"]
    if len(row.companions) > entry.companions:
        yield f"'as: {row.function or 'text'}' takes {entry.companions or 'no'} attributes in 'with'"
    if row.unknown != "reject" and not row.table:
        yield "'unknown' says what to do with a code that is not in the row's 'table', and it names none"
    if row.table and row.function:
        yield f"'table' translates texts, and 'as: {row.function}' gives none"
    if row.required and row.table and row.sources == ("status.order",):
        codes = tables[row.table].codes
        yield from (
            f"the table {row.table!r} has nothing for {progress!r}" for progress in _PROGRESS if not codes.get(progress)
        )


_PROGRESS: Final = tuple(one.upper() for one in scope.PROGRESS)


STATUS_DIALECT: Final = Dialect(
    name="step_to_status",
    levels=SEGMENTS,
    keys=KEYS,
    functions=FUNCTIONS,
    derivations={},
    indispensable=INDISPENSABLE,
    one_level=True,
    check_path=scope.check,
    check_target=_check_target,
    check_row=_check_row,
)
