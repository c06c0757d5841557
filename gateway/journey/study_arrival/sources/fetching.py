"""Reads a study at the source that lists it: each of its instances arrives as if it had been sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import GatewayError, Malformed, Rejected, TooLarge, Unavailable, Unexplained, with_fate
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.journey.study_arrival.keeping import Answered
from gateway.journey.study_arrival.sources.source import StudySource
from gateway.observe import metrics
from gateway.records.arrival import InstanceArrival
from gateway.records.study_source import ListedStudy
from gateway.records.work import Work
from gateway.store import source_studies
from gateway.store.outbox_claims import Done
from gateway.work.breaker import Breaker
from gateway.work.lease import Lease


class Arrivals(Protocol):
    """Keeps what a source brings: `StudyArrival`."""

    async def keep(self, incoming: Incoming, answered: Answered) -> InstanceArrival:
        """Keep one instance. Raises `Unavailable` without a database or room, `Rejected` for what is no instance."""

    def transfer_ended(self, sender: Sender) -> None:
        """Account for what came by a transfer, which is over."""


class Fetching:
    """`fetch` is what the worker calls for each study of a source."""

    def __init__(self, source: StudySource, arrivals: Arrivals, breaker: Breaker, clock: Clock) -> None:
        self._source = source
        self._arrivals = arrivals
        self._breaker = breaker
        self._clock = clock

    async def fetch(self, work: Work, _lease: Lease) -> Done:
        """Keep what the source has of a study. Raises as `StudySource` does.

        What is no instance is kept among the refusals, and does not hold up the others.
        """
        study, sender = _study(work), Sender(self._source.name, self._source.place)
        kept: list[bool] = []
        try:
            async for some in self._source.read_study(study, sender):
                kept += await self._keep(some)
        except Unavailable as error:
            self._breaker.failed(error.retry_after)
            raise
        except (Malformed, TooLarge) as error:
            # A broken answer may be whole the next time, and not every time.
            self._breaker.answered()
            raise with_fate(error, Unexplained) from error
        except Rejected as error:
            # It lets nobody in, as with a login that is refused: not the study's fault.
            self._breaker.failed(None)
            raise with_fate(error, Unavailable) from error
        except GatewayError:
            self._breaker.answered()
            raise
        finally:
            self._arrivals.transfer_ended(sender)
        self._breaker.answered()
        refused = kept.count(False)
        metrics.SOURCE_INSTANCES.labels(self._source.name, "kept").inc(len(kept) - refused)
        metrics.SOURCE_INSTANCES.labels(self._source.name, "refused").inc(refused)
        what = f"{len(kept)} instances read" + (f", {refused} of them refused" if refused else "")
        outcome = {"what": what, "given": len(kept), "refused": refused}
        return Done(outcome, partial(self._remember, study=study))

    async def _keep(self, some: Sequence[Incoming]) -> list[bool]:
        # At once: they share commits.
        return await asyncio.gather(*map(self._keep_one, some))

    async def _keep_one(self, incoming: Incoming) -> bool:
        """False: it is no instance."""
        try:
            await self._arrivals.keep(incoming, _answered)
        except Rejected:
            return False
        return True

    def _remember(self, connection: Connection, study: ListedStudy) -> None:
        source_studies.remember(connection, self._source.name, study, now=self._clock())


def _answered(error: GatewayError) -> str:
    """A source that is asked is answered nothing; what is refused shows the class of the fault."""
    return type(error).__name__


def _study(work: Work) -> ListedStudy:
    instances = work.payload.get("instances")
    return ListedStudy(
        work.subject,
        str(work.payload.get("state") or ""),
        instances if isinstance(instances, int) else None,
        key=str(work.payload.get("key") or ""),
    )
