"""Events of the audit trail as the API answers them."""

from __future__ import annotations

from pydantic import Field

from gateway.operations.answers.answer import Answer, Moment
from gateway.store.audit_listing import AuditPage, AuditRow


class AuditActor(Answer):
    name: str
    kind: str
    address: str
    role: str = Field(description="Of a person; empty: none")


class AuditEvent(Answer):
    """An event, with its place in the chain."""

    sequence: int
    at: Moment
    event: str = Field(description="Kind of event (DICOM PS3.15 A.5.3)")
    type: str
    action: str = Field(description="C, R, U, D or E")
    outcome: int = Field(description="0 success, 4, 8, 12 failures")
    actor: AuditActor
    peer: AuditActor | None
    patients: list[str]
    studies: list[str]
    accession_numbers: list[str]
    note: str
    detail: dict[str, str]
    hash: str

    @classmethod
    def of(cls, row: AuditRow) -> AuditEvent:
        """A row of the trail."""
        event = row.event
        actor, peer = event.actor, event.peer
        return cls(
            sequence=row.sequence, at=event.moment, event=event.kind.value, type=event.type.value,
            action=event.action.value, outcome=int(event.outcome),
            actor=AuditActor(name=actor.name, kind=actor.kind.value, address=actor.address, role=actor.role),
            peer=peer and AuditActor(name=peer.name, kind=peer.kind.value, address=peer.address, role=peer.role),
            patients=list(event.patients), studies=list(event.studies),
            accession_numbers=list(event.accession_numbers), note=event.note, detail=dict(event.detail), hash=row.hash,
        )  # fmt: skip


class AuditEvents(Answer):
    """Events, the newest first."""

    events: list[AuditEvent]
    next_before: int | None = Field(description="`before` for the next page; null: this is the last")

    @classmethod
    def of(cls, page: AuditPage) -> AuditEvents:
        """A page of the trail."""
        return cls(events=[AuditEvent.of(row) for row in page.rows], next_before=page.next_before)
