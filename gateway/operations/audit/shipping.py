"""Sending the audit trail to a receiver: from the rows themselves, so that nothing waits twice and nothing clinical
waits at all."""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import Unavailable
from gateway.observe import metrics
from gateway.operations.audit.receiving import AuditReceiver
from gateway.records.audit import GATEWAY, Action, AuditEvent, AuditKind, AuditType, Outcome
from gateway.store import Store, audit, audit_positions
from gateway.store.audit_listing import rows_after
from gateway.store.audit_positions import Position

log = logging.getLogger(__name__)

BATCH: Final = 100
PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
MORE_WHILE_AWAY: Final = 1.1
"""Times `most_waiting`: so many events are skipped together that a long outage is not logged each minute."""
HELD_SECONDS: Final = 60.0
"""After so long without a sign of life another process sends."""


@dataclass(frozen=True, slots=True)
class ShippingSetup:
    """A receiver of the trail in the configuration."""

    name: str
    """Of its position."""
    most_waiting: int
    held_seconds: float = HELD_SECONDS


class AuditShipping:
    """Sends the trail to one receiver; `run` goes on without end.

    Where the receiver acknowledges nothing (syslog), a batch counts as received when the connection is still there for
    the next look, and is sent again when it is not. An event may so come twice, with the same contents.
    """

    def __init__(self, store: Store, setup: ShippingSetup, receiver: AuditReceiver, clock: Clock) -> None:
        self._store = store
        self._setup = setup
        self._receiver = receiver
        self._clock = clock
        self._holder = uuid.uuid4().hex
        self._sent: int | None = None
        """Of the last row that was handed to the network; None: it is as the database says."""
        self._away_since: int | None = None

    async def run(self) -> None:
        """Send what there is, look again each second; while the receiver is away less often. Raises `Unavailable`
        when the database is."""
        pause = PAUSE_SECONDS
        try:
            while True:
                position = await self._claimed()
                if position is not None:
                    try:
                        await self._send_all(position)
                    except Unavailable as error:
                        await self._fail(error)
                        pause = min(max(2 * pause, error.retry_after or 0.0), LONGEST_PAUSE_SECONDS)
                    else:
                        pause = PAUSE_SECONDS
                await asyncio.sleep(pause)
        finally:
            await self._receiver.close()

    async def _claimed(self) -> Position | None:
        now, name = self._clock(), self._setup.name
        until = now + round(self._setup.held_seconds * 1_000_000)
        if self._sent is not None and self._away_since is None and not await self._store.read(self._has_more):
            return None
        return await self._store.write(
            lambda connection: audit_positions.claim(connection, name, self._holder, now=now, until=until)
        )

    def _has_more(self, connection: Connection) -> bool:
        position = audit_positions.positions(connection).get(self._setup.name)
        return position is None or position.sequence < audit.head(connection).sequence

    async def _send_all(self, position: Position) -> None:
        """Send the rows behind `position`. Raises `Unavailable` of the receiver."""
        receiver = self._receiver
        is_new, most = await receiver.open(), min(BATCH, receiver.most_rows)
        confirmed = position.sequence
        if is_new or self._sent is None or self._sent < confirmed:  # another process sent meanwhile
            self._sent = confirmed
        while rows := await self._store.read(partial(rows_after, sequence=self._sent, limit=most)):
            skipped = await self._skipped(confirmed)
            if skipped:
                confirmed = self._sent = skipped
                continue
            refused, last = await receiver.send(rows), rows[-1].sequence
            # Without an answer: the batch before was received, for the connection took another.
            confirmed, self._sent = last if receiver.acknowledges else self._sent, last
            if not await self._advance(confirmed, refused):
                return
        if not receiver.acknowledges:
            # Nothing more for now: the connection is asked once more, after a moment.
            await asyncio.sleep(PAUSE_SECONDS)
            await receiver.send([])
        await self._advance(self._sent)

    async def _skipped(self, confirmed: int) -> int:
        """The sequence up to which rows are skipped, because there are too many, or because they were removed; 0: of
        none."""
        return await self._store.write(partial(self._skip, confirmed=confirmed)) if self._sent == confirmed else 0

    def _skip(self, connection: Connection, confirmed: int) -> int:
        head, begins = audit.head(connection).sequence, audit.beginning(connection).sequence
        if max(head - self._setup.most_waiting, begins) <= confirmed:
            return 0
        # The event that states the gap waits too.
        target = max(head + 1 - self._setup.most_waiting, begins)
        number, name = target - confirmed, self._setup.name
        audit_positions.skip(connection, name, target, number)
        note = f"{number} events were not sent to the repository {name}: too many waited, or they were removed"
        audit.record(
            connection,
            AuditEvent(
                AuditKind.SECURITY_ALERT, Action.EXECUTE, self._clock(), GATEWAY, AuditType.AUDIT_RECORDING_STOPPED,
                Outcome.SERIOUS_FAILURE, note=note, detail={"repository": name, "skipped": str(number)},
            ),
        )  # fmt: skip
        metrics.AUDIT_SKIPPED.labels(name).inc(number)
        log.error("audit repository %s: %d events are skipped", name, number)
        return target

    async def _advance(self, confirmed: int, refused: int = 0) -> bool:
        """Note what was received, but for the `refused`; False when another process sends by now."""
        name, now = self._setup.name, self._clock()
        until = now + round(self._setup.held_seconds * 1_000_000)
        if not await self._store.write(
            lambda c: audit_positions.advance(c, name, self._holder, confirmed, refused, now=now, until=until)
        ):
            self._sent = None
            return False
        if refused:
            metrics.AUDIT_SKIPPED.labels(name).inc(refused)
            log.warning("audit repository %s has refused %d events, which it is not sent again", name, refused)
        metrics.AUDIT_AWAY.labels(name).set(0)
        if self._away_since is not None:
            seconds = (now - self._away_since) / 1_000_000
            log.warning("audit repository %s is there again after %.0f s", name, seconds)
            self._away_since = None
        await self._count(confirmed)
        return True

    async def _fail(self, error: Unavailable) -> None:
        name = self._setup.name
        if self._away_since is None:
            self._away_since = self._clock()
            log.warning("audit repository %s is away: %s; its events wait", name, error.message)
        since, reason = self._away_since, error.message
        await self._store.write(lambda c: audit_positions.fail(c, name, reason, since=since))
        metrics.AUDIT_AWAY.labels(name).set(1)
        position = (await self._store.read(audit_positions.positions))[name].sequence
        waiting = (await self._store.read(audit.head)).sequence - position
        if waiting > self._setup.most_waiting * MORE_WHILE_AWAY:
            # Else nothing of the trail could go by its age before the repository is back.
            position = await self._store.write(partial(self._skip, confirmed=position)) or position
        await self._count(position)

    async def _count(self, confirmed: int) -> None:
        head = await self._store.read(audit.head)
        metrics.AUDIT_WAITING.labels(self._setup.name).set(head.sequence - confirmed)
