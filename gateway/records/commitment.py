"""Storage commitment: instances that a peer wants to be kept for good, and what is reported of them (PS3.4 Annex J)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

from gateway.errors import (
    GatewayError,
    InvalidValue,
    NeedsPerson,
    RequiredEmpty,
    RequiredMissing,
    Unavailable,
    Unexplained,
)
from gateway.records.identifiers import LONGEST_UID
from gateway.records.order import Attributes


class FailureReason(IntEnum):
    """Failure Reason (0008,1197) (PS3.3 C.14.1.1)."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    DUPLICATE_TRANSACTION = 0x0131


class Reference(NamedTuple):
    """An instance as it is referred to."""

    sop_class_uid: str
    sop_uid: str


Failures = Mapping[Reference, FailureReason]


@dataclass(frozen=True, slots=True)
class CommitmentAsked:
    """What an N-ACTION (PS3.4 Table J.3-1) or a request over the web (PS3.18 J.1) asks for."""

    transaction_uid: str
    references: tuple[Reference, ...]
    """Each once."""

    @property
    def digest(self) -> bytes:
        """The same for the same references in any order."""
        return hashlib.sha256("\n".join(sorted(map(" ".join, self.references))).encode()).digest()


def asked(attributes: Attributes) -> CommitmentAsked:
    """The request of these attributes. Raises `RequiredMissing`, `RequiredEmpty` or `InvalidValue` for what cannot be
    answered: without a Transaction UID, without references, or with one that names no instance."""
    transaction = str(attributes.get("TransactionUID") or "")
    if not transaction:
        raise RequiredMissing("it tells the transaction", place="TransactionUID")
    if len(transaction) > LONGEST_UID or not transaction.isascii():
        raise InvalidValue(f"no UID of up to {LONGEST_UID} characters", place="TransactionUID")
    references = [_reference(one) for one in _items(attributes, "ReferencedSOPSequence")]
    if not references:
        raise RequiredEmpty("it names no instance", place="ReferencedSOPSequence")
    return CommitmentAsked(transaction, tuple(dict.fromkeys(references)))


def _reference(item: Attributes) -> Reference:
    uids = Reference(*(str(item.get(one) or "") for one in ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID")))
    if not all(0 < len(one) <= LONGEST_UID and one.isascii() for one in uids):
        raise InvalidValue("an item does not tell class and instance", place="ReferencedSOPSequence")
    return uids


class Holding(NamedTuple):
    """What is known here of an instance of a SOP Instance UID."""

    sop_class_uid: str
    is_safe: bool
    """Its file is kept here until an archive has it, or an archive has confirmed it."""


def failures_of(
    references: Iterable[Reference], holdings: Mapping[str, Sequence[Holding]]
) -> dict[Reference, FailureReason]:
    """Why no commitment can be given for some of these. `holdings`: by SOP Instance UID."""
    judged = ((one, _failure(one, holdings.get(one.sop_uid, ()))) for one in references)
    return {one: reason for one, reason in judged if reason is not None}


def _failure(reference: Reference, holdings: Sequence[Holding]) -> FailureReason | None:
    of_class = [one for one in holdings if one.sop_class_uid == reference.sop_class_uid]
    if any(one.is_safe for one in of_class):
        return None
    if not holdings:
        return FailureReason.NO_SUCH_INSTANCE
    return FailureReason.PROCESSING_FAILURE if of_class else FailureReason.CLASS_INSTANCE_CONFLICT


ALL_COMMITTED: Final = 1
SOME_FAILED: Final = 2
"""Event Type IDs (PS3.4 Table J.3-2)."""


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """What is reported of a transaction; the same however often it is sent."""

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, FailureReason], ...] = ()

    @property
    def event_type(self) -> int:
        return SOME_FAILED if self.failed else ALL_COMMITTED

    @property
    def asked(self) -> CommitmentAsked:
        """The request that it answers."""
        return CommitmentAsked(self.transaction_uid, (*self.committed, *(one for one, _ in self.failed)))


_PASSING: Final = {0x0213: Unavailable, 0x0110: Unexplained}
"""Errors of the answers after which a peer is asked again: no room, and a failure without a reason."""


def is_reported(status: int) -> bool:
    """Whether the peer has a report, by the status of its answer: a warning (PS3.7 C.4) is an answer too."""
    return status in (0x0000, 0x0001, 0x0107, 0x0116) or status & 0xF000 == 0xB000


def not_reported(status: int) -> type[GatewayError]:
    """The error that an answer comes to which is no success."""
    return _PASSING.get(status, NeedsPerson)


class ReportTaken(NamedTuple):
    """What a peer reports of a transaction, by SOP Instance UID."""

    transaction_uid: str
    committed: Sequence[str]
    failed: Mapping[str, int]
    """Failure Reason (0008,1197); 0110 where none is stated."""


def taken(attributes: Attributes) -> ReportTaken:
    """The report of an N-EVENT-REPORT. Raises `RequiredMissing` without a Transaction UID."""
    transaction = str(attributes.get("TransactionUID") or "")
    if not transaction:
        raise RequiredMissing("it tells the transaction", place="TransactionUID")
    committed = [str(one.get("ReferencedSOPInstanceUID") or "") for one in _items(attributes, "ReferencedSOPSequence")]
    failed = {
        str(one.get("ReferencedSOPInstanceUID") or ""): _reason(one.get("FailureReason"))
        for one in _items(attributes, "FailedSOPSequence")
    }
    return ReportTaken(transaction, committed, failed)


def _items(attributes: Attributes, keyword: str) -> list[Attributes]:
    value: Any = attributes.get(keyword)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _reason(value: Any) -> int:
    text = str(value or "")
    return int(text) if text.isdecimal() and int(text) <= 0xFFFF else int(FailureReason.PROCESSING_FAILURE)
