"""Puts statuses and messages for destinations into the outbox, in the transaction that has made them due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from gateway.journey.ris_status.making import StatusMaker, StatusReceiver
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order_progress import progress_of
from gateway.records.patient import Identity
from gateway.records.row_ids import MessageRow, OrderRow, PatientRow, PerformedStepRow
from gateway.records.status import Status
from gateway.records.step import StepEvent
from gateway.records.work import Lane, forward_to, status_to
from gateway.store import messages, order_book, outbox, patients


class Statuses:
    """A consequence of a performed step: each destination gets the status of each of its orders.

    `maker`: makes the messages at once; None: the worker makes each before it is sent.
    """

    def __init__(self, maker: StatusMaker | None, receivers: Sequence[StatusReceiver]) -> None:
        self._maker = maker
        self._receivers = receivers

    def queue(
        self,
        connection: Connection,
        performed_step: PerformedStepRow,
        orders: Sequence[OrderRow],
        event: StepEvent,
        *,
        at: int,
        now: int,
    ) -> None:
        """Add a status for each order and destination. `orders`: in ascending order, moved already; `at`: when the
        modality did it."""
        for row in orders:
            order = order_book.get(connection, row)
            progress = progress_of(order)
            receivers = [one for one in self._receivers if progress in one.progresses]
            status = Status(row, performed_step, progress, event, at)
            subject = order_book.study_uid(connection, row)
            every = [status] * len(receivers)
            if self._maker is not None:
                every = self._maker.made(connection, status, *receivers)
            for receiver, made in zip(receivers, every, strict=True):
                lane = Lane(status_to(receiver.name), subject)
                outbox.enqueue(connection, lane=lane, payload=made.as_payload(), due_at=now, now=now)


class Forwards:
    """Passes messages on. `destinations`: name of a destination -> the types that it gets, such as ADT or ADT^A08."""

    def __init__(self, destinations: Mapping[str, frozenset[str]]) -> None:
        self._destinations = destinations

    def queue(self, connection: Connection, message: MessageRow, type: str, listener: str, *, now: int) -> None:
        """Add a kept message for each destination that gets its type; in order for each patient."""
        names = [name for name, types in self._destinations.items() if type in types or type.partition("^")[0] in types]
        if not names:
            return
        current, former = _patients_of(connection, message)
        subject = (
            _subject(current) if current is not None else StudyInstanceUID("listener-" + listener.replace("|", "-"))
        )
        for name in names:
            lane = Lane(forward_to(name), subject)
            for one in former:
                # What waits under a number that has been merged goes before the merge.
                outbox.move_lane(connection, Lane(lane.kind, _subject(one)), lane)
            outbox.enqueue(connection, lane=lane, payload={"message": message}, due_at=now, now=now)


def _patients_of(connection: Connection, message: MessageRow) -> tuple[PatientRow | None, list[PatientRow]]:
    """The patient of whom a message speaks, by today's row, and the rows that were theirs before."""
    found = [patients.get(connection, row) for row in sorted(messages.patients_of(connection, message))]
    current = next((patients.survivor(connection, row) for row in found if row is not None), None)
    if current is None:
        return None, []
    # A merge speaks of the patient who survives it.
    former = [patients.find(connection, Identity(*one)) for one in current["former"]]
    rows = dict.fromkeys(PatientRow(row["id"]) for row in (*found, *former) if row is not None)
    return PatientRow(current["id"]), [row for row in rows if row != current["id"]]


def _subject(patient: PatientRow) -> StudyInstanceUID:
    return StudyInstanceUID(f"patient-{patient}")
