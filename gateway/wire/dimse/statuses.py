"""The Status (0000,0900) of each outcome: one table for each operation, from the class of an error (PS3.7 Annex C).

Stations raise errors; which number a peer sees is decided here.
"""

from __future__ import annotations

import logging
from enum import IntEnum
from typing import Final

from gateway.errors import (
    Conflict,
    DuplicateKey,
    GatewayError,
    InvalidValue,
    Malformed,
    Rejected,
    RequiredEmpty,
    RequiredMissing,
    TooLarge,
    Unavailable,
    UnknownKey,
    UnsupportedType,
)

log = logging.getLogger(__name__)

SUCCESS: Final = 0x0000
CANCEL: Final = 0xFE00
OUT_OF_RESOURCES: Final = 0xA700
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
UNRECOGNIZED_OPERATION: Final = 0x0211
"""PS3.7 C.5.6, C.5.25."""
CANNOT_ENCODE: Final = 0xC312
NOT_ALL_ATTRIBUTES: Final = 0x0001
"""Warning of an N-GET: requested optional attributes are not supported (PS3.4 Table F.8.2-2)."""
PROCESSING_FAILURE: Final = 0x0110
INVALID_INSTANCE: Final = 0x0117
NO_SUCH_INSTANCE: Final = 0x0112
NO_SUCH_CLASS: Final = 0x0118
NO_SUCH_ACTION: Final = 0x0123
NO_SUCH_EVENT: Final = 0x0113
CLASS_INSTANCE_CONFLICT: Final = 0x0119
NO_LONGER_UPDATED: Final = 0xA710
"""Error ID (0000,0903) of a performed step that is final (PS3.4 Table F.7.2-2)."""


class Pending(IntEnum):
    """A match follows (PS3.4 Table K.4-1)."""

    ALL_KEYS = 0xFF00
    SOME_KEYS = 0xFF01
    """One or more optional keys are not supported for existence or matching."""


class DimseFailure(Exception):
    """Ends an operation with this Status (0000,0900) and Error Comment (0000,0902).

    The comment is cut at the 64 characters of an LO, what is not ASCII becomes `?`; it must not hold PHI.
    """

    def __init__(self, status: int, comment: str = "") -> None:
        super().__init__(f"{status:04X} {comment}".strip())
        self.status = status
        self.comment = comment


class ExplainedFailure(Exception):
    """Ends an operation with the status of `error`; the error's text holds no PHI and becomes the comment."""

    def __init__(self, error: GatewayError) -> None:
        super().__init__(str(error))
        self.error = error
        self.comment = str(error)


Statuses = tuple[tuple[type[Exception], int], ...]
FIND_STATUSES: Final[Statuses] = (
    (Unavailable, 0xC001),  # Failed: unable to process; the scanner may ask again
    (TooLarge, OUT_OF_RESOURCES),  # Refused (PS3.4 Table K.4-1)
    (Rejected, 0xA900),  # Failed: the identifier does not match the SOP class
    (Exception, 0xC001),
)
STORE_STATUSES: Final[Statuses] = (
    (Unavailable, OUT_OF_RESOURCES),  # Refused (PS3.4 Table B.2-1)
    (TooLarge, OUT_OF_RESOURCES),
    (UnsupportedType, SOP_CLASS_NOT_SUPPORTED),
    (Conflict, 0x0111),  # Duplicate SOP instance (PS3.7 C.5.8)
    (Malformed, 0xC000),  # Error: cannot understand
    (Rejected, 0xA900),  # Error: the data set does not match the SOP class
    (Exception, PROCESSING_FAILURE),  # PS3.7 C.5.16
)
NORMALIZED_STATUSES: Final[Statuses] = (
    (Unavailable, 0x0213),  # Resource limitation (PS3.7 C.5)
    (TooLarge, 0x0213),
    (DuplicateKey, 0x0111),  # Duplicate SOP instance
    (UnknownKey, 0x0112),  # No such SOP instance
    (RequiredEmpty, 0x0121),  # Missing attribute value
    (RequiredMissing, 0x0120),  # Missing attribute
    (InvalidValue, 0x0106),  # Invalid attribute value
    (Exception, PROCESSING_FAILURE),
)
"""Of N-CREATE, N-SET and N-GET (PS3.7 10.1, PS3.4 F.7, F.8)."""
ACTION_STATUSES: Final[Statuses] = (
    (Unavailable, 0x0213),
    (TooLarge, 0x0213),
    (Rejected, 0x0115),  # Invalid argument value
    (Exception, PROCESSING_FAILURE),
)
"""Of N-ACTION and N-EVENT-REPORT (PS3.7 10.1.1.1.9, 10.1.4.1.10)."""
ERROR_IDS: Final[Statuses] = ((Conflict, NO_LONGER_UPDATED),)
"""Error ID (0000,0903) of a class of errors that end a normalized operation."""


def reason_of(error: Exception) -> Exception:
    """The error of the station behind a failure."""
    return error.error if isinstance(error, ExplainedFailure) else error


def error_id_of(error: Exception) -> int | None:
    """Error ID (0000,0903) beside the status of a normalized operation; None for most errors."""
    return next((number for kind, number in ERROR_IDS if isinstance(reason_of(error), kind)), None)


def status_of(error: Exception, statuses: Statuses) -> int:
    """The status with which `error` ends an operation."""
    if isinstance(error, DimseFailure):
        return error.status
    return next(status for kind, status in statuses if isinstance(reason_of(error), kind))


def comment_of(error: Exception) -> str:
    """The Error Comment names the class of an error and its place; the message may hold values, so it stays here."""
    if isinstance(error, DimseFailure | ExplainedFailure):
        return error.comment
    kind = type(error).__name__
    if not isinstance(error, GatewayError):
        log.error("DICOM request ended with a fault of ours: %s", kind)
        return kind
    return f"{kind}: {error.place}" if error.place else kind
