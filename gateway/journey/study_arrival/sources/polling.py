"""Asks a source again and again which studies it has; those that are new or changed are read by work of their own.

A poll is a row of the outbox, which the next poll follows: so one process polls at a time, and another takes over. The
watermark moves in the transaction that closes the poll, after all that was listed before it is kept.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import StatementError

from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.journey.study_arrival.sources.source import StudySource
from gateway.journey.study_arrival.sources.stated import is_uid
from gateway.observe import metrics
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study_source import ListedStudy, Listing, SourceState, Watermark
from gateway.records.work import Lane, Work, WorkState, polls_of, studies_at
from gateway.store import Store, outbox, receiver_work, source_studies, source_watermarks
from gateway.store.outbox_claims import Done
from gateway.work.breaker import Breaker
from gateway.work.lease import Lease

log = logging.getLogger(__name__)

SECOND: Final = 1_000_000
MOST_WAITING: Final = 500
"""Studies that wait to be read: with more, what is behind is listed no further, so that today's studies come soon."""
READ_AGAIN_MICROS: Final = 600 * SECOND
"""A study of which a source states nothing that changes is read again after so long."""
AT_ONCE: Final = 500
"""Studies that are kept in a transaction: others wait for its end."""
LONGEST_ERROR: Final = 500


@dataclass(slots=True)
class _Tally:
    watermark: Watermark
    begun_at: int
    listed: int = 0
    wanted: int = 0
    dropped: int = 0


class _SourceError(Exception):
    """The source failed, not the database."""

    def __init__(self, error: GatewayError) -> None:
        super().__init__(str(error))
        self.error = error


class Polling:
    """`poll` is what the worker calls for a source, `every_seconds` after the last poll."""

    def __init__(self, source: StudySource, store: Store, breaker: Breaker, clock: Clock, every_seconds: float) -> None:
        self._source = source
        self._store = store
        self._breaker = breaker
        self._clock = clock
        self._every = round(every_seconds * SECOND)
        self._lane = Lane(polls_of(source.name), StudyInstanceUID(source.name))

    def begin(self, connection: Connection) -> None:
        """Let the first poll be due, unless one waits or is under way."""
        last = outbox.latest(connection, self._lane)
        if last is None or last["state"] not in (WorkState.PENDING, WorkState.LEASED):
            now = self._clock()
            outbox.postpone(connection, self._lane, due_at=now, now=now)

    async def poll(self, work: Work, lease: Lease) -> Done:
        """List what is new at the source. A source that fails is asked again, as long as the gateway runs."""
        before = await self._store.read(partial(source_watermarks.get, source=self._source.name))
        tally = _Tally(before.watermark, self._clock())
        try:
            await self._list(tally, lease)
        except _SourceError as failure:
            return self._failed(work, before, tally, failure.error)
        except StatementError as error:
            unkept = GatewayError(f"what it states cannot be kept ({type(error).__name__})")
            return self._failed(work, before, tally, unkept)
        self._breaker.answered()
        metrics.SOURCE_POLLS.labels(self._source.name, "done").inc()
        state = replace(_counted(before, tally), polled_at=self._clock(), failed_at=None, error="")
        what = f"{tally.listed} studies listed, {tally.wanted} of them to be read"
        return Done({"what": what}, partial(self._close, work=work, state=state, wait=None))

    async def _list(self, tally: _Tally, lease: Lease) -> None:
        pages = self._source.list_studies(tally.watermark, self._clock())
        try:
            while (page := await _next(pages)) is not None:
                await self._take(page, tally, lease)
                tally.watermark = page.watermark or tally.watermark
                if page.watermark is not None and page.watermark.is_behind and self._is_enough(tally):
                    return
        finally:
            await pages.aclose()

    async def _take(self, page: Listing, tally: _Tally, lease: Lease) -> None:
        studies = [one for one in page.studies if is_uid(one.study_uid)]
        dropped, wanted = page.dropped + len(page.studies) - len(studies), 0
        for at in range(0, max(len(studies), 1), AT_ONCE):
            await lease.confirm()
            wanted += await self._store.write(partial(self._want, studies=studies[at : at + AT_ONCE]))
        tally.listed += len(page.studies)
        tally.wanted += wanted
        tally.dropped += dropped
        metrics.SOURCE_STUDIES.labels(self._source.name, "listed").inc(len(page.studies))
        metrics.SOURCE_STUDIES.labels(self._source.name, "wanted").inc(wanted)
        metrics.SOURCE_STUDIES.labels(self._source.name, "dropped").inc(dropped)

    def _is_enough(self, tally: _Tally) -> bool:
        """Whether what is older waits for the next poll, which begins with what is new."""
        return tally.wanted >= MOST_WAITING or self._clock() - tally.begun_at >= self._every

    def _want(self, connection: Connection, studies: Sequence[ListedStudy]) -> int:
        now = self._clock()
        return source_studies.want(
            connection, self._source.name, studies, now=now, again_before=now - READ_AGAIN_MICROS
        )

    def _failed(self, work: Work, before: SourceState, tally: _Tally, error: GatewayError) -> Done:
        retry_after: float | None = getattr(error, "retry_after", None)
        self._breaker.failed(retry_after)
        metrics.SOURCE_POLLS.labels(self._source.name, "failed").inc()
        if before.failed_at is None:
            log.warning("source %s cannot be listed: %s", self._source.name, type(error).__name__)
        state = replace(
            _counted(before, tally), failed_at=before.failed_at or self._clock(), error=str(error)[:LONGEST_ERROR]
        )
        wait = max(self._every, round((retry_after or 0.0) * SECOND))
        return Done({"error": state.error}, partial(self._close, work=work, state=state, wait=wait))

    def _close(self, connection: Connection, work: Work, state: SourceState, wait: int | None) -> None:
        """Keep how the poll went, and add the next. `wait`: microseconds; None: as the watermark asks."""
        source_watermarks.save(connection, state)
        source_watermarks.forget_polls(connection, self._lane, work.id)
        now = self._clock()
        if wait is None:
            waiting = receiver_work.count(connection, studies_at(self._source.name), WorkState.PENDING)
            wait = 0 if state.watermark.is_behind and waiting < MOST_WAITING else self._every
        outbox.enqueue(connection, lane=self._lane, payload={}, due_at=now + wait, now=now)


def _counted(before: SourceState, tally: _Tally) -> SourceState:
    """With the pages that came, which are kept even where the poll failed after them."""
    return replace(
        before,
        watermark=tally.watermark,
        listed=before.listed + tally.listed,
        wanted=before.wanted + tally.wanted,
        dropped=before.dropped + tally.dropped,
    )


async def _next(pages: AsyncGenerator[Listing]) -> Listing | None:
    try:
        return await anext(pages, None)
    except GatewayError as error:
        raise _SourceError(error) from error
    except Exception as error:
        # Nobody would ask a source whose poll waits for a person.
        log.exception("what a source states cannot be read")
        raise _SourceError(GatewayError(f"internal error {type(error).__name__}")) from error
