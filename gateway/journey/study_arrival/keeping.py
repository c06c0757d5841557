"""Keeps an instance, whatever source it came by: its header, its pixels where there is a spool, and what follows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from gateway import long_work
from gateway.clock import Clock
from gateway.errors import GatewayError, Rejected, Unavailable
from gateway.journey.study_arrival.asking import asked_by
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.journey.study_arrival.pixels import PixelKeeping
from gateway.journey.study_arrival.reading import InstanceReader
from gateway.journey.study_arrival.transfers import Transfers
from gateway.records.agreement import AgreementRules
from gateway.records.arrival import InstanceArrival, Kept
from gateway.records.quiet_time import QuietTimes
from gateway.store import Store, audit, refusals, settling, study_arrivals
from gateway.store.settling import Wait
from gateway.wire.dimse.elements import DEFLATED
from gateway.wire.dimse.header import short_header

log = logging.getLogger(__name__)

Answered = Callable[[GatewayError], str]
"""What the sender is answered, as its protocol writes it, such as `A900`."""


class InstanceKeeping:
    """`reader`: reads headers. `rules`: which values count where instances state different ones.

    `pixels`: keeps instances with their pixels; None: only headers are kept. `quiet`: how long a
    study is waited for after its last instance; `longest_wait`: after its first, in microseconds.
    """

    def __init__(
        self,
        store: Store,
        reader: InstanceReader,
        rules: AgreementRules,
        clock: Clock,
        *,
        quiet: QuietTimes,
        longest_wait: int,
        transfers: Transfers,
        pixels: PixelKeeping | None = None,
    ) -> None:
        self._store = store
        self._reader = reader
        self.rules = rules
        self._clock = clock
        self.quiet = quiet
        self._longest_wait = longest_wait
        self._transfers = transfers
        self.pixels = pixels

    async def keep(self, incoming: Incoming, answered: Answered) -> InstanceArrival:
        """Keep one instance; what could not be read is kept among the refusals. Safe on disk when this returns.

        Raises `Unavailable` without a database or room, `Rejected` for a data set that is no instance or not the
        announced one (`InstanceReader.read`).
        """
        if self.pixels is None or not incoming.keeps_pixels:
            return await self._keep(incoming.sender, await self._read_or_refuse(incoming, answered))
        async with self.pixels.arriving(incoming) as stored:
            arrival = await self._read_or_refuse(incoming, answered)
            return await self._keep(incoming.sender, replace(arrival, stored=await stored()))

    async def _read_or_refuse(self, incoming: Incoming, answered: Answered) -> InstanceArrival:
        header = short_header(incoming.data, incoming.transfer_syntax_uid, begins_at=incoming.begins_at)
        read = partial(self._reader.read, incoming, self._clock(), header)
        try:
            if header is not None:
                return read()
            # What a deflated data set inflates to is in memory for one instance at a time.
            beside = long_work.beside if incoming.transfer_syntax_uid in DEFLATED else asyncio.to_thread
            return await beside(read)
        except Rejected as error:
            await self.refuse(incoming, answered(error), error)
            raise

    async def _keep(self, sender: Sender, arrival: InstanceArrival) -> InstanceArrival:
        began = self._transfers.began(sender, arrival)

        def keep(connection: Connection) -> Kept:
            if began is not None:
                audit.record(connection, began)
            return self._kept(connection, arrival)

        try:
            kept = await self._store.write(keep, asked_by(arrival))
        except Exception as error:
            # Not where the transfer ends meanwhile: what was given to the writer is kept, unless it fails.
            if began is not None:
                self._transfers.not_kept(sender, arrival)
            if isinstance(error, Unavailable):
                raise type(error)("the database is away; send again") from error
            raise
        self._transfers.count(sender, arrival, is_new=kept.is_new)
        return arrival

    def _kept(self, connection: Connection, arrival: InstanceArrival) -> Kept:
        """Keep an arrival, with all that follows from it."""
        kept = study_arrivals.keep(connection, arrival, self.rules)
        if kept.is_new:
            quiet = self.quiet.of(arrival.source_ae, str(arrival.series.get("Modality") or ""))
            settling.arrived(
                connection, arrival.study_uid, Wait(quiet, self._longest_wait), now=arrival.received_at,
                is_stated=kept.is_stated,
            )  # fmt: skip
        if kept.has_new_file and self.pixels is not None:
            self.pixels.on_new_file(connection, arrival, kept.instance)
        return kept

    async def refuse(self, incoming: Incoming, answer: str, error: GatewayError) -> None:
        """Keep the beginning of what is no instance, for whoever looks for the fault."""
        log.warning("instance from %s refused with %s", incoming.sender.name, answer)
        await refusals.keep(
            self._store,
            "instance",
            refused_at=self._clock(),
            source=str(incoming.sender),
            reason=f"{answer} {error}",
            body=bytes(incoming.data[incoming.begins_at : incoming.begins_at + refusals.KEPT_BYTES]),
        )

    def ended(self, sender: Sender) -> None:
        """Account for what came by a transfer, which is over."""
        self._transfers.ended(sender, self._clock())
