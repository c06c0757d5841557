"""Asks an archive for storage commitment of what it was sent (PS3.4 Annex J), study by study, until it has given it.

A row of the outbox stands for a study at an archive for as long as the archive has instances of it that it has not
committed; meanwhile their files stay in the spool. What the archive reports comes by `commitment_reports`, which lets
the row fall due.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import GatewayError, NeedsPerson
from gateway.observe import metrics
from gateway.records.commitment import CommitmentReport, is_reported, not_reported
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.work import Lane, Work, WorkState, commitments_of, images_to
from gateway.store import Store, archive_commitments, outbox
from gateway.store.archive_commitments import InstanceThere
from gateway.store.outbox_claims import Done, Together
from gateway.wire.dimse import requestor_operations as operations
from gateway.wire.dimse.commitment import INSTANCE, PUSH_MODEL, REQUEST, encoded
from gateway.wire.dimse.requestor_reuse import Requestor
from gateway.work.breaker import Breaker
from gateway.work.lease import Lease

SECOND: Final = 1_000_000
MOST_REFERENCES: Final = 1000
"""Of one request."""
MOST_FAILURES: Final = 3
"""So often an archive may report an instance as failed, which is then sent again, before a person is asked."""


class CommitmentsWanted:
    """Lets an archive be asked for what it was sent, `quiet_seconds` after the last instance of a study."""

    def __init__(self, name: str, quiet_seconds: float, clock: Clock) -> None:
        self._kind = commitments_of(name)
        self._quiet = round(quiet_seconds * SECOND)
        self._clock = clock

    def of(self, study_uid: str) -> Together:
        """What is written with the outcome of an instance that was sent."""
        return Together(self.write, study_uid)

    def write(self, connection: Connection, study_uids: Sequence[str]) -> None:
        """Let these studies be looked at, once for all instances that were sent together."""
        now = self._clock()
        for one in sorted(set(study_uids)):
            outbox.postpone(
                connection, Lane(self._kind, StudyInstanceUID(one)), due_at=now + self._quiet, now=now,
                longest=10 * self._quiet,
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Look:
    """How the instances of a study that are not committed stand."""

    to_ask: Sequence[InstanceThere]
    waiting: Sequence[InstanceThere]
    """Asked for, without a report yet."""
    to_send: Sequence[InstanceThere]
    """Failed, and sent again."""
    refused: Sequence[InstanceThere]
    """Failed so often that a person is asked."""


class Committing:
    """`look` is what the worker calls for the archive `name`, which is asked again after `report_seconds` without a
    report."""

    def __init__(
        self, name: str, store: Store, requestor: Requestor, breaker: Breaker, clock: Clock, report_seconds: float
    ) -> None:
        self._name = name
        self._store = store
        self._requestor = requestor
        self._breaker = breaker
        self._clock = clock
        self._patience = round(report_seconds * SECOND)

    async def look(self, work: Work, lease: Lease) -> Done:
        """Ask for what is there and was not asked for, send again what the archive does not have. Raises `Unavailable`
        when the archive gives no answer, and `NeedsPerson` when it refuses."""
        read = partial(archive_commitments.there, kind=images_to(self._name), study_uid=work.subject)
        there = await self._store.read(read)
        look = self._looked([one for one in there if not one.is_committed])
        for at in range(0, len(look.to_ask), MOST_REFERENCES):
            await self._ask(work, look.to_ask[at : at + MOST_REFERENCES], lease)
        if look.to_send:
            await self._store.write(partial(self._send_again, instances=look.to_send))
        if look.refused:
            again = partial(archive_commitments.forget_failures, works=[one.work for one in look.refused])
            await self._store.write(again)
            raise NeedsPerson(_refusal(look.refused), place=self._requestor.peer.place)
        if asked := len(look.to_ask) + len(look.waiting):
            what = f"asked for {asked} of {len(there)} instances"
            return Done({"what": what}, partial(self._look_later, subject=work.subject))
        if look.to_send:
            return Done({"what": f"{len(look.to_send)} of {len(there)} instances are sent again"})
        return Done({"what": f"{len(there)} instances committed"})

    def _looked(self, open_: Sequence[InstanceThere]) -> _Look:
        overdue = self._store.steady() - self._patience
        failed = [one for one in open_ if one.failure_reason is not None]
        others = [one for one in open_ if one.failure_reason is None]
        return _Look(
            to_ask=[one for one in others if one.asked_at is None or one.asked_at <= overdue],
            waiting=[one for one in others if one.asked_at is not None and one.asked_at > overdue],
            to_send=[one for one in failed if one.failures < MOST_FAILURES],
            refused=[one for one in failed if one.failures >= MOST_FAILURES],
        )

    async def _ask(self, work: Work, instances: Sequence[InstanceThere], lease: Lease) -> None:
        transaction = f"2.25.{uuid.uuid4().int}"
        make = partial(
            archive_commitments.make, asked=instances, transaction_uid=transaction, destination=self._name,
            study_uid=work.subject, now=self._clock(),
        )  # fmt: skip
        await self._store.write(make)
        stated = CommitmentReport(transaction, tuple(one.reference for one in instances))
        try:
            async with self._requestor.association() as association:
                await lease.confirm()
                response = await operations.act(association, PUSH_MODEL, INSTANCE, REQUEST, partial(encoded, stated))
        except GatewayError as error:
            raise self._breaker.failure(error) from error
        self._breaker.answered()
        metrics.COMMITMENTS_ASKED.labels(self._name, f"{response.status:04X}").inc()
        if not is_reported(response.status):
            raise response.failure(self._requestor.peer.place, not_reported(response.status))
        works = [one.work for one in instances]
        await self._store.write(partial(archive_commitments.mark_asked, works=works, now=self._store.steady()))

    def _send_again(self, connection: Connection, instances: Sequence[InstanceThere]) -> None:
        now = self._clock()
        for one in instances:
            lane = Lane(images_to(self._name), StudyInstanceUID(one.reference.sop_uid))
            outbox.enqueue(connection, lane=lane, payload=one.payload, due_at=now, now=now)

    def _look_later(self, connection: Connection, subject: StudyInstanceUID) -> None:
        """Look again when the archive has had its time; a report that came meanwhile has let a look fall due before."""
        lane, now = Lane(commitments_of(self._name), subject), self._clock()
        last: dict[str, Any] | None = outbox.latest(connection, lane)
        if last is None or last["state"] != WorkState.PENDING:
            outbox.enqueue(connection, lane=lane, payload={}, due_at=now + self._patience, now=now)


def _refusal(refused: Sequence[InstanceThere]) -> str:
    reasons = sorted({f"{one.failure_reason:04X}" for one in refused})
    text = f"{len(refused)} instances are not committed after {MOST_FAILURES} requests"
    return f"{text}: Failure Reason {', '.join(reasons)}"
