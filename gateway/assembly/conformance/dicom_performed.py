"""Modality Performed Procedure Step, Instance Availability Notification and Storage Commitment, as SCP (N.5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.assembly.conformance.dicom_terms import name_of, tag_of
from gateway.config.tree import Config
from gateway.operations.conformance.sections import StatementSection, StatementTable
from gateway.records.commitment import FailureReason
from gateway.records.performed_step_attributes import ATTRIBUTES, ITEMS, Types
from gateway.wire.dimse.course import OF_STATEMENTS
from gateway.wire.dimse.normalized_data_set import MAX_DATA_SET_BYTES

COLUMNS: Final = (
    "Attribute Name", "Tag", "Required in N-CREATE", "Required in N-SET", "Type in N-CREATE", "Type in N-SET",
    "Type in the final state",
)  # fmt: skip
"""Table N.5-5, and the types of PS3.4 Table F.7.2-1 behind its Y and N."""


def sections(config: Config) -> Iterator[StatementSection]:
    """The two services that take statements of other systems."""
    strict = [peer.ae_title for peer in config.dicom.peers if peer.mpps == "strict"]
    text = _MPPS.format(
        strict=", ".join(strict) or "none here", bytes=MAX_DATA_SET_BYTES, elements=OF_STATEMENTS.elements
    )
    yield StatementSection("N.5.2.2", "Modality Performed Procedure Step SCP", text, tuple(_tables()))
    yield StatementSection("N.5.2.3", "Instance Availability Notification SCP", _AVAILABILITY)
    commitment = _COMMITMENT.format(seconds=config.dicom.commitment_wait_seconds)
    yield StatementSection("N.5.2.5", "Storage Commitment Push Model SCP", commitment, (_reasons(),))


def _tables() -> Iterator[StatementTable]:
    yield StatementTable(
        "Attributes of a performed step", COLUMNS, [_typed(keyword, one) for keyword, one in ATTRIBUTES.items()]
    )
    for sequence, items in ITEMS.items():
        rows = [_typed(keyword, types) for keyword, types in items.items()]
        yield StatementTable(f"Items of {name_of(sequence)}", COLUMNS, rows)


def _reasons() -> StatementTable:
    rows = [(f"{reason:04X}", _REASONS[reason]) for reason in FailureReason]
    return StatementTable("Failure Reasons", ("Failure Reason (0008,1197)", "Meaning"), rows)


def _typed(keyword: str, types: Types) -> tuple[str, ...]:
    required = ("Y" if one in ("1", "2") else "N" for one in (types.create, types.set))
    return name_of(keyword), tag_of(keyword), *required, types.create or "–", types.set or "not allowed", types.final


_MPPS: Final = """\
On N-CREATE: a request that leaves out what the table asks for is taken with a finding (0000), unless the peer is
`mpps: strict` (peers that are: {strict}): then it is refused with 0120 or 0121. Without what tells which step is
performed it is always refused. An N-CREATE without Affected SOP Instance UID is given one. The same N-CREATE again
changes nothing. The scheduled steps that it names become STARTED; a performed step that names none is kept and can be
linked to an order by a person.

On N-SET: a sequence replaces the whole sequence. After COMPLETED or DISCONTINUED an N-SET is answered 0110 with Error
ID A710. Attributes that are not listed are kept.

On N-GET (Modality Performed Procedure Step Retrieve): the attributes that are asked for, all where none is named.

A data set of more than {bytes:,} bytes or {elements:,} elements and items is refused with 0213. Success is answered
when what was received is in the database."""
_AVAILABILITY: Final = """\
An Instance Availability Notification is kept as evidence and shown with the orders of its study. It needs a Study
Instance UID of at most 64 characters (else 0120, 0121, 0106); other deviations from PS3.4 Table R.3.2-1 are findings.
A SOP Instance UID that is here is answered 0111. An N-CREATE without Affected SOP Instance UID is given one."""
_REASONS: Final = {
    FailureReason.PROCESSING_FAILURE: "the instance is here, and no archive gets it, or the disk has lost it",
    FailureReason.NO_SUCH_INSTANCE: "the instance has not arrived in time",
    FailureReason.CLASS_INSTANCE_CONFLICT: "the instance is of another SOP Class",
    FailureReason.DUPLICATE_TRANSACTION: "the Transaction UID is in use for other references",
}
_COMMITMENT: Final = """\
Where instances are kept with their pixels (`studies.storage: forward`); else the presentation context is rejected. On
N-ACTION (Action Type 1): the transaction is in the database before Success. Without a Transaction UID, or with a
Referenced SOP Sequence that names no instance, it is answered 0115; for another SOP instance 0112, for another action
type 0123. Instances that are not here yet are waited for, up to {seconds:g} s.

On N-EVENT-REPORT, over the association of the request while it is open, else over a new one to the modality, where
the gateway proposes the SCP role: Event Type 1 where all are committed, else 2. An instance is committed when it is on
the disk here and on its way to an archive, or an archive has confirmed it. A report without an answer is sent again.
The support of a commitment has no end by time; Storage Media File-Set and Retrieve AE Title are not sent."""
