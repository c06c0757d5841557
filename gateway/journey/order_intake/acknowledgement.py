"""The acknowledgement of a message: codes from error classes, by one table each, and the bytes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from gateway.errors import (
    Conflict,
    DuplicateKey,
    Fate,
    GatewayError,
    InvalidValue,
    Malformed,
    RequiredMissing,
    Undecodable,
    UnknownCode,
    UnknownKey,
    UnknownSender,
    UnsupportedEvent,
    UnsupportedType,
    ValueTooLong,
)
from gateway.wire.hl7.acknowledgement import Problem

CONDITIONS: Final[tuple[tuple[type[GatewayError], int], ...]] = (
    (Undecodable, 102),
    (Malformed, 100),
    (RequiredMissing, 101),
    (InvalidValue, 102),
    (UnknownCode, 103),
    (UnknownSender, 103),
    (ValueTooLong, 104),
    (UnsupportedType, 200),
    (UnsupportedEvent, 201),
    (UnknownKey, 204),
    (DuplicateKey, 205),
    (Conflict, 207),
    (GatewayError, 207),
)
"""Error -> message error condition code, HL7 table 0357; the first that fits."""


def wants(condition: str, code: str) -> bool:
    """Whether MSH-15 or MSH-16 (table 0155) asks for an acknowledgement of this code."""
    return condition == "AL" or condition == ("SU" if code.endswith("A") else "ER")


def condition(error: GatewayError) -> int:
    """The table 0357 code of an error."""
    return next(code for kind, code in CONDITIONS if isinstance(error, kind))


def ack_code(error: GatewayError) -> str:
    """MSA-1 for an error: AR when the content was not judged or we failed, AE when it is wrong (HL7 2.5.1 2.9.2)."""
    if isinstance(error, Undecodable):
        return "AE"
    if error.fate is not Fate.REJECT or isinstance(error, (Malformed, UnknownSender)):
        return "AR"
    return "AR" if 200 <= condition(error) <= 203 else "AE"


_PLACE: Final = re.compile(
    r"(?:PATIENT/)?(?P<seg>[A-Z][A-Z0-9]{2})(?:\[(?P<seq>\d+)\])?\*?(?:-(?P<field>\d+)\*?(?:\.(?P<comp>\d+)(?:-\d+)?(?:\.(?P<sub>\d+))?)?)?"
    r"(?: of ORC\[(?P<group>\d+)\])?.*"
)


def location(place: str) -> str:
    """A place of ours (`PID-3.1`, `OBR-24.1 of ORC[2]`) as an ERL: segment^sequence^field^repetition^component^sub."""
    match = _PLACE.fullmatch(place)
    if match is None:
        return ""
    parts: list[Any] = [match["seg"], match["seq"] or match["group"] or "1"]
    if match["field"]:
        parts += [match["field"], "1"]
    if match["comp"]:
        parts.append(match["comp"])
    if match["sub"]:
        parts.append(match["sub"])
    return "^".join(parts)


def problem_of(error: GatewayError) -> Problem:
    return Problem(condition(error), str(error), location(str(error.place)))


def moment_of(now: int) -> datetime:
    return datetime.fromtimestamp(now / 1e6, UTC)
