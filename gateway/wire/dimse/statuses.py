"""The Status (0000,0900) of each outcome: one table for each operation, from the class of an error (PS3.7 Annex C).

Stations raise errors; which number a peer sees is decided here.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from gateway.errors import Conflict, GatewayError, Malformed, Rejected, TooLarge, Unavailable, UnsupportedType

SUCCESS: Final = 0x0000
CANCEL: Final = 0xFE00
OUT_OF_RESOURCES: Final = 0xA700
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
UNRECOGNIZED_OPERATION: Final = 0x0211
"""PS3.7 C.5.6, C.5.25."""
CANNOT_ENCODE: Final = 0xC312


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
    (Exception, 0x0110),  # Processing failure (PS3.7 C.5.16)
)


def status_of(error: Exception, statuses: Statuses) -> int:
    """The status with which `error` ends an operation."""
    if isinstance(error, DimseFailure):
        return error.status
    reason = error.error if isinstance(error, ExplainedFailure) else error
    return next(status for kind, status in statuses if isinstance(reason, kind))
