"""The instances of one request: some are being kept while the next arrives, and each has its own outcome."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from gateway.errors import GatewayError
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.journey.study_arrival.station import StudyArrival
from gateway.observe import metrics
from gateway.web.dicomweb.storing.arriving import Arrived
from gateway.web.dicomweb.storing.response import Outcome, reason_text
from gateway.wire.part10_head import Part10Head

log = logging.getLogger(__name__)

AT_A_TIME: Final = 8
"""Of one request. Each has at most 2 MiB in memory; what they write is committed together."""
AT_A_TIME_IN_ALL: Final = 32
"""Of all requests."""
MOST: Final = 100_000
"""Parts of a request, and instances of its metadata."""


class Batch:
    """`turns`: of the instances of all requests. `study_uid`: the study that the request is for; empty: any."""

    def __init__(self, station: StudyArrival, turns: asyncio.Semaphore, sender: Sender, study_uid: str) -> None:
        self._station = station
        self._sender = sender
        self._study_uid = study_uid
        self._own_turns = asyncio.Semaphore(AT_A_TIME)
        self._turns = turns
        self._outcomes: list[asyncio.Task[Outcome] | Outcome] = []

    def __len__(self) -> int:
        return len(self._outcomes)

    async def keep(self, arrived: Arrived) -> None:
        """Begin to keep an instance, as soon as there is a turn."""
        await self._own_turns.acquire()
        await self._turns.acquire()
        self._outcomes.append(asyncio.create_task(self._keep(arrived), name="stow"))

    async def _keep(self, arrived: Arrived) -> Outcome:
        head = arrived.head
        incoming = arrived.incoming(self._sender, self._study_uid)
        try:
            arrival = await self._station.keep(incoming, reason_text)
            return Outcome(arrival.sop_class_uid, arrival.sop_uid, arrival.study_uid, arrival.series_uid)
        except GatewayError as error:
            return Outcome(head.sop_class_uid, head.sop_instance_uid, error=error)
        except Exception as error:
            log.error("an instance was not kept", exc_info=error)
            return Outcome(head.sop_class_uid, head.sop_instance_uid, error=error)
        finally:
            arrived.close()
            self._turns.release()
            self._own_turns.release()

    async def fail(self, error: GatewayError, head: Part10Head | None = None, begun: bytes = b"") -> None:
        """A part that cannot be kept; `begun`: its first bytes, of what is no instance, for whoever looks for the
        fault."""
        if begun:
            await self._station.refuse(Incoming(self._sender, "", begun), reason_text(error), error)
        sop_class, sop_uid = (head.sop_class_uid, head.sop_instance_uid) if head is not None else ("", "")
        self._outcomes.append(Outcome(sop_class, sop_uid, error=error))

    async def results(self) -> list[Outcome]:
        """What became of each part, in the order in which they came, once all is decided."""
        outcomes = [one if isinstance(one, Outcome) else await one for one in self._outcomes]
        self._outcomes = list(outcomes)
        return outcomes

    async def end(self) -> None:
        """Account for all."""
        for one in await self.results():
            metrics.STOWS.labels(reason_text(one.error)).inc()
        self._station.transfer_ended(self._sender)
