"""What follows from a change of a performed step: the work of other stations, queued in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlalchemy import Connection

from gateway.records.order import Attributes
from gateway.records.performed_matching import Candidate
from gateway.records.performed_step import PerformedStep
from gateway.records.row_ids import PerformedStepRow
from gateway.records.step import StepEvent
from gateway.value_class import value_class


@value_class
class Change:
    """A performed step after a request of a modality, after a link that a person or a late order made or a person took
    away, or after a rule has ended it."""

    row: PerformedStepRow
    sop_uid: str
    """SOP Instance UID of the performed step."""
    step: PerformedStep
    """With all that has been stated so far."""
    event: StepEvent | None
    """What it is to the scheduled steps: of an unlinked performed step as if the wrong entry had been chosen. None: the
    performed step states more, and is in progress as before."""
    event_at: int
    """When the modality began or ended, in microseconds since 1970."""
    links: tuple[Candidate, ...]
    """Scheduled steps that the change concerns; none: no order has any."""
    request: Attributes | None
    """The attributes of the N-CREATE or N-SET; None: no modality asked for this change."""
    is_created: bool = False
    """The request is the N-CREATE."""


Consequence = Callable[[Connection, Change], None]
"""Queues work that a change causes. Raises nothing of a receiver: the modality is answered before any work is done."""


def follow(connection: Connection, consequences: Iterable[Consequence], change: Change) -> None:
    """Let each consequence queue its work, in the transaction that keeps the change."""
    for consequence in consequences:
        consequence(connection, change)
