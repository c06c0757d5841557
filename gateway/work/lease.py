"""Whether this process still has the work that it was given: by the database's rows, asked right before anything is
sent.

A process that was stopped for longer than its lease (a machine that was paused, a clock that stood still) cannot tell
from its own clock that another has done the work meanwhile, and something newer after it. The row tells.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from gateway.clock import Clock
from gateway.errors import Unavailable
from gateway.records.work import Work
from gateway.store import Store, outbox_claims
from gateway.store.gathered import Gathered

log = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """Another worker has the work, or has had it: whatever is sent now may be older than what the receiver has."""


class LeaseUnknownError(Exception):
    """The database does not tell whose the work is. Not `Unavailable`: no receiver has failed to answer."""


class Leases:
    """The leases of one worker. One statement answers the checks that come beside each other."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self._ends = Gathered(store, outbox_claims.lease_ends)

    def of(self, work: Work, seconds: float) -> Lease:
        """The lease of `work`, which was claimed for `seconds`."""
        return Lease(self, work, seconds)

    async def ends(self, work: Work) -> int | None:
        """When the lease of `work` ends, in microseconds; None when it is another's by now.

        Raises `Unavailable` when the database does not tell.
        """
        return await self._ends.ask((work.id, work.lease))

    async def close(self) -> None:
        """Wait for the check that is under way."""
        await self._ends.close()


class Lease:
    """The right to do one work. A handler that sends calls `confirm` right before it does."""

    def __init__(self, leases: Leases, work: Work, seconds: float) -> None:
        self._leases = leases
        self._work = work
        self._seconds = seconds
        self.was_late = False
        """It ended once before it was renewed, and no other worker took the work: what was sent before may arrive
        after what others send."""
        self.is_lost = False
        self._timer: asyncio.TimerHandle | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def confirm(self) -> None:
        """Return when the work is still ours, by its row in the database; a lease that has ended and that nobody took
        is renewed.

        Raises `LeaseLostError`, and `LeaseUnknownError` when the database does not tell: nothing may be sent then.
        """
        try:
            ends = None if self.is_lost else await self._leases.ends(self._work)
            if ends is not None and ends <= self._leases.clock():
                self.was_late = True
                ends = await self._renewed()
        except Unavailable as error:
            raise LeaseUnknownError(f"whose the work is cannot be told: {error}") from error
        if ends is None:
            self.is_lost = True
            raise LeaseLostError(f"{self._work.kind} {self._work.id} is another worker's by now")

    async def _renewed(self) -> int | None:
        until = self._leases.clock() + round(self._seconds * 1_000_000)
        kept = await self._leases.store.write(partial(outbox_claims.renew, work=self._work, until=until))
        return until if kept else None

    def keep_for(self, doing: asyncio.Task[None]) -> None:
        """Renew the lease until `end`; stop `doing` when it is lost.

        Another worker has the work then, and two must not write one after the other.
        """
        # Most work is over long before: a timer costs a fraction of a task.
        ends = self._leases.clock() + round(self._seconds * 1_000_000)
        self._timer = asyncio.get_running_loop().call_later(self._seconds / 3, self._begin, doing, ends)

    def end(self) -> None:
        """Let the lease be as it is."""
        for one in (self._timer, self._keeper):
            if one is not None:
                one.cancel()

    def _begin(self, doing: asyncio.Task[None], ends: int) -> None:
        self._keeper = asyncio.create_task(self._keep(doing, ends), name=f"lease of {self._work.kind} {self._work.id}")

    async def _keep(self, doing: asyncio.Task[None], ends: int) -> None:
        work, clock = self._work, self._leases.clock
        while True:
            is_late = clock() >= ends
            try:
                until = await self._renewed()
                self.was_late |= is_late
                self.is_lost, ends = until is None, until or ends
            except Exception as error:
                log.warning("the lease of %s %d could not be renewed: %s", work.kind, work.id, error)
                self.is_lost = is_late
            if self.is_lost:
                break
            await asyncio.sleep(self._seconds / 3)
        log.warning("the lease of %s %d is lost; it is left to whoever has it", work.kind, work.id)
        doing.cancel()
