"""Error classes to the codes of HL7: MSA-1 (table 0008) and the message error condition (table 0357)."""

from __future__ import annotations

from typing import Final

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


def condition_code(error: GatewayError) -> int:
    """The table 0357 code of an error."""
    return next(code for kind, code in CONDITIONS if isinstance(error, kind))


def acknowledgement_code(error: GatewayError) -> str:
    """MSA-1 for an error: AR when the content was not judged or we failed, AE when it is wrong (HL7 2.5.1 2.9.2)."""
    if isinstance(error, Undecodable):
        return "AE"
    if error.fate is not Fate.REJECT or isinstance(error, (Malformed, UnknownSender)):
        return "AR"
    return "AR" if 200 <= condition_code(error) <= 203 else "AE"
