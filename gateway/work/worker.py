"""Works off the outbox: claims due rows, calls the station registered for their kind, settles them by their fate.

It knows fates, not stations. Each kind has its own task and its own limit, so that a slow or broken receiver never
holds another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from sqlalchemy.exc import StatementError

from gateway.clock import Clock
from gateway.errors import Fate, GatewayError, Unavailable
from gateway.observe import metrics
from gateway.records.work import Work, WorkKind
from gateway.store import Store, outbox_claims, outbox_looks
from gateway.store.gathered import Gathered
from gateway.store.writer import ANY, Due
from gateway.work.failures import cause_for_log, fate_of, pause_after
from gateway.work.handling import Handling
from gateway.work.lanes import Lanes
from gateway.work.lease import LeaseLostError, Leases, LeaseUnknownError
from gateway.work.outcomes import WorkOutcomes

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0
"""How often the outbox is looked at without a hint: for work that another process has left."""

SHORTEST_PAUSE_SECONDS: Final = 0.002


class Worker:
    """Works off `kinds` of work; `run` it until cancelled.

    What is due and how long leases last is measured by `steady`; None: by the wall clock. `holder`: how the leases of
    this process are named, where another ends them if it dies.
    """

    def __init__(
        self,
        store: Store,
        kinds: Mapping[WorkKind, Handling],
        clock: Clock,
        steady: Clock | None = None,
        holder: str = "",
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._clock = clock
        self._steady = steady or clock
        self._holder = holder
        self._leases = Leases(store, self._steady)
        self._outcomes = WorkOutcomes(store, clock)
        self._looks = Gathered(store, outbox_looks.looks)
        self._full: set[WorkKind] = set()
        """Kinds of which the last claim found as much as it was to."""
        self._lanes = {kind: Lanes() for kind in kinds}
        store.on_due(self._hint)

    def _hint(self, due: Due) -> None:
        for kind in self._lanes if ANY in due else self._lanes.keys() & due:
            if self._kinds[kind].is_prompt:
                self._lanes[kind].hint.set()

    async def run(self) -> None:
        """Work until cancelled. What is under way then is handed back: whoever comes next takes it up at once."""
        try:
            async with asyncio.TaskGroup() as group:
                for kind, handling in self._kinds.items():
                    group.create_task(self._run_kind(kind, handling), name=f"worker {kind}")
        finally:
            await self._looks.close()
            await self._leases.close()

    async def _run_kind(self, kind: WorkKind, handling: Handling) -> None:
        lanes, away = self._lanes[kind], False
        try:
            while True:
                lanes.hint.clear()
                wait = POLL_SECONDS
                try:
                    wait = await self._take_up(kind, handling, lanes)
                    if away:
                        log.info("the outbox can be read again for %s", kind)
                        away = False
                except Unavailable as error:
                    if not away:
                        log.warning("the outbox cannot be read for %s: %s", kind, error)
                        away = True
                except Exception:
                    # One kind's trouble must not end the others; it is tried again after a while.
                    if not away:
                        log.exception("the work of %s cannot be claimed", kind)
                        away = True
                # Not wait_for: Python 3.11's loses a cancellation that meets the hint, and the gateway would not stop.
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await lanes.hint.wait()
        finally:
            await self._end(dict(lanes.running))

    async def _take_up(self, kind: WorkKind, handling: Handling, lanes: Lanes) -> float:
        """Start what is due and admitted beside what is under way; how long to wait for a hint then, in seconds."""
        free, admitted = handling.concurrency - lanes.taken, handling.admits(lanes.taken)
        # After a claim that found as much as it was to, more is likely to be due: claiming tells that.
        look = await self._look(kind) if admitted > 0 and kind not in self._full else None
        works: list[Work] = []
        if look is None or look.has_due:
            look, works = None, await self._claim(kind, handling, admitted)
        if handling.pacing is not None:
            handling.pacing.took(len(works))
        for work in works:
            lanes.begin(asyncio.create_task(self._do(handling, work), name=f"{kind} {work.id}"), work)
        if admitted == 0 < free:
            # Until it opens, or what it let through, or enough of what is under way, is over.
            opens_in = handling.opens_in()
            return min(opens_in, POLL_SECONDS) if opens_in > 0 else POLL_SECONDS
        if lanes.taken < handling.concurrency:
            # What ended while others were claimed has left places for what waits behind them.
            return 0.0 if kind in self._full else self._pause(look or await self._look(kind))
        return POLL_SECONDS

    async def _end(self, running: Mapping[asyncio.Task[None], Work]) -> None:
        """Cancel what is `running`, close what was done nevertheless, and hand the rest back."""
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        # What was done is closed first, and is then no longer to be handed back.
        await self._outcomes.settled()
        await self._hand_back([work for task, work in running.items() if task.cancelled()])

    async def _claim(self, kind: WorkKind, handling: Handling, free: int) -> list[Work]:
        now = self._steady()
        if free <= 0:
            return []
        self._full.discard(kind)
        lease = round(handling.lease_seconds * 1_000_000)
        claim = partial(
            outbox_claims.claim, kind=kind, now=now, lease_micros=lease, limit=free, holder=self._holder,
            ahead=handling.ahead,
        )  # fmt: skip
        claiming = asyncio.ensure_future(self._store.write(claim))
        try:
            works = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            # Whoever stops waiting does not take the claim back, and nobody would work on it until its lease ends.
            with suppress(Exception):
                await self._hand_back(await claiming)
            raise
        if len(works) == free:
            self._full.add(kind)
        return works

    async def _hand_back(self, works: Sequence[Work]) -> None:
        """Let go of `works` that were claimed and cut off; their try counts, it may have reached a receiver."""
        if not works:
            return
        try:
            await self._store.write(partial(outbox_claims.release, works=works))
        except Unavailable as error:
            log.warning("work under way could not be handed back, its lease must end first: %s", error)

    async def _look(self, kind: WorkKind) -> outbox_looks.Look:
        look = await self._looks.ask((kind, self._steady()))
        assert look is not None, "every question is answered"
        return look

    def _pause(self, look: outbox_looks.Look) -> float:
        """How long nothing falls due, in seconds."""
        if look.has_due:
            return SHORTEST_PAUSE_SECONDS
        if look.next_due is None:
            return POLL_SECONDS
        return min(POLL_SECONDS, max((look.next_due - self._steady()) / 1_000_000, SHORTEST_PAUSE_SECONDS))

    async def _do(self, handling: Handling, work: Work) -> None:
        me = asyncio.current_task()
        assert me is not None
        lease = self._leases.of(work, handling.lease_seconds)
        lease.keep_for(me)
        try:
            done = await handling.handler(work, lease)
            await self._finish(handling, work, done)
        except LeaseLostError:
            await self._lose(handling, work)
        except LeaseUnknownError as error:
            await self._settle_failure(handling, work, Unavailable(str(error)))
        except asyncio.CancelledError:
            if not lease.is_lost:
                raise
            await self._lose(handling, work)
        except GatewayError as error:
            await self._settle_failure(handling, work, error)
        except Exception as error:
            log.exception("%s %d failed", work.kind, work.id)
            await self._settle_failure(handling, work, GatewayError(f"internal error {type(error).__name__}"))
        finally:
            lease.end()

    async def _finish(self, handling: Handling, work: Work, done: outbox_claims.Done) -> None:
        if not await self._outcomes.close(work, done, self._lanes[work.kind]):
            raise LeaseLostError
        metrics.WORK.labels(str(work.kind), "done" if done.until is None else "wait").inc()

    async def _lose(self, handling: Handling, work: Work) -> None:
        """Leave `work` to whoever has it."""
        metrics.WORK.labels(str(work.kind), "lost").inc()
        log.warning("%s %d is another worker's: its lease ended before it was done here", work.kind, work.id)
        if handling.when_lost is None:
            return
        try:
            await self._store.write(partial(handling.when_lost, work=work))
        except Unavailable as error:
            log.warning("what follows from the lost lease of %s %d was not written: %s", work.kind, work.id, error)

    async def _settle_failure(self, handling: Handling, work: Work, error: GatewayError) -> None:
        fate, payload = fate_of(work, error)
        metrics.WORK.labels(str(work.kind), fate.value).inc()
        now = self._clock()
        due = now + round(
            pause_after(work, error, handling.first_retry_seconds, handling.max_retry_seconds) * 1_000_000
        )
        outcome = {"error": error.message, "place": error.place, **error.details}
        if fate is not Fate.RETRY:
            log.warning("%s %d is %sed: %s", work.kind, work.id, fate.value, cause_for_log(work, error, outcome))
        elif not work.attempts:
            log.warning("%s %d is tried again later: %s", work.kind, work.id, cause_for_log(work, error, outcome))
        settle = partial(outbox_claims.fail, work=work, now=now, due_at=due, payload=payload)
        try:
            try:
                settled = await self._store.write(partial(settle, fate=fate, outcome=outcome))
            except StatementError as failure:
                # What the error says cannot be kept; that it happened must be, or the work would run for ever.
                plain = {"error": f"{type(error).__name__}, whose details could not be kept: {type(failure).__name__}"}
                settled = await self._store.write(partial(settle, fate=Fate.PARK, outcome=plain))
            if not settled:
                await self._lose(handling, work)
        except Unavailable as failure:
            # The lease ends by itself; the work is taken up again then.
            log.warning("the outcome of %s %d could not be written: %s", work.kind, work.id, failure)
