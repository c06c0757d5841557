"""Station `study_arrival`: instances arrive, by C-STORE and by every other source. Success follows the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import Conflict, GatewayError, UnknownKey
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.journey.study_arrival.keeping import Answered, InstanceKeeping
from gateway.journey.study_arrival.pixels import PixelKeeping
from gateway.journey.study_arrival.reading import InstanceReader
from gateway.journey.study_arrival.transfers import Transfers
from gateway.observe import metrics
from gateway.records.agreement import AgreementRules
from gateway.records.arrival import InstanceArrival
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.quiet_time import QuietTimes
from gateway.spool import SpoolFile
from gateway.store import Store, settling, studies, study_rereading
from gateway.wire.dimse import ExplainedFailure, StoreRequest
from gateway.wire.dimse.policy import Caller
from gateway.wire.dimse.statuses import STORE_STATUSES, SUCCESS, status_of

REPLAY_TRIES: Final = 5


class _OthersArrivedError(Exception):
    """Instances came while a study was read again: what was read is not all of it, and nothing is written."""


class StudyArrival:
    """Keeps what a PACS or modality brings: `store` is what the DIMSE server calls, `keep` what other sources call.

    `keywords`: per level (study, series, instance) the attributes that the study mapping reads. `rules`: which values
    count where instances state different ones. `longest_wait`: in microseconds. `pixels`: keeps
    instances with their pixels; None: only headers are kept.
    """

    def __init__(
        self,
        store: Store,
        keywords: Mapping[str, Collection[str]],
        rules: AgreementRules,
        quiet: QuietTimes,
        clock: Clock,
        longest_wait: int,
        transfers: Transfers | None = None,
        pixels: PixelKeeping | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._reader = InstanceReader(keywords)
        self._keeping = InstanceKeeping(
            store,
            self._reader,
            rules,
            clock,
            quiet=quiet,
            longest_wait=longest_wait,
            transfers=transfers or Transfers(lambda _event: None),
            pixels=pixels,
        )

    @property
    def new_file(self) -> Callable[[str, str, str], SpoolFile] | None:
        """Makes the file of a long data set that is still arriving; None: no pixels are kept."""
        pixels = self._keeping.pixels
        return None if pixels is None else pixels.spool.begin

    def adopt(self, keywords: Mapping[str, Collection[str]], rules: AgreementRules) -> None:
        """Keep these attributes, per level, of the instances that come from now on, beside those always kept, and let
        what they state together follow from these rules."""
        self._reader.adopt(keywords)
        self._keeping.rules = rules

    def adopt_quiet_times(self, by_station: Mapping[str, int]) -> None:
        """Wait for stations as they were learnt, in microseconds."""
        self._keeping.quiet = replace(self._keeping.quiet, by_station=by_station)

    async def keep(self, incoming: Incoming, answered: Answered) -> InstanceArrival:
        """Keep one instance, as `InstanceKeeping.keep`."""
        return await self._keeping.keep(incoming, answered)

    async def refuse(self, incoming: Incoming, answer: str, error: GatewayError) -> None:
        """Keep what is no instance among the refusals, as `InstanceKeeping.refuse`."""
        await self._keeping.refuse(incoming, answer, error)

    def transfer_ended(self, sender: Sender) -> None:
        """Account for what came by a transfer, which is over."""
        self._keeping.ended(sender)

    # C-STORE

    async def store(self, request: StoreRequest) -> None:
        """Keep one instance.

        Raises `ExplainedFailure`: without a database with `Unavailable`, for a data set that is not the instance of the
        request with `Rejected`, for a broken data set with `Malformed`.
        """
        try:
            await self._keeping.keep(incoming_of(request), _code)
        except GatewayError as error:
            metrics.STORES.labels(_code(error)).inc()
            raise ExplainedFailure(error) from error
        metrics.STORES.labels(f"{SUCCESS:04X}").inc()

    def association_ended(self, caller: Caller) -> None:
        """Account for what came over an association."""
        self._keeping.ended(_sender(caller))

    # Reading again

    async def replay(
        self,
        study_uid: StudyInstanceUID,
        first: Callable[[Connection], None] = lambda _connection: None,
        *,
        is_asked: bool = True,
    ) -> int:
        """Read a study's kept headers again with today's mapping and settle it anew; returns its instances.

        What it says is delivered to each EHR that does not have it yet. `first` is done in the same transaction, before
        the study is read; what it raises takes all back. `is_asked`: a person wants the study to settle now. Raises
        `UnknownKey`, or `Conflict` while instances keep arriving.
        """
        row = await self._store.read(lambda connection: studies.get(connection, study_uid))
        if row is None:
            raise UnknownKey("there is no such study", place=study_uid)
        for _ in range(REPLAY_TRIES):
            count = await self._replay(study_uid, row["id"], first, is_asked)
            if count is not None:
                return count
        raise Conflict("the study is arriving; it is read with today's mapping anyway", place=study_uid)

    async def read_again(self, study_uid: StudyInstanceUID) -> None:
        """Read a study anew, as what counts of it has changed. Raises as `replay`."""
        await self.replay(study_uid, is_asked=False)

    async def _replay(
        self, study_uid: StudyInstanceUID, study: int, first: Callable[[Connection], None], is_asked: bool
    ) -> int | None:
        """The number of instances read again; None when others came meanwhile."""
        headers = await self._store.read(lambda connection: studies.headers(connection, study))
        read = await asyncio.to_thread(self._reader.read_again, headers)
        now = self._clock()

        def again(connection: Connection) -> None:
            first(connection)
            if not study_rereading.say_again(connection, study_uid, study, read, self._keeping.rules):
                raise _OthersArrivedError
            settling.changed(connection, study_uid, now=now)
            if is_asked:
                settling.ask(connection, study_uid, now=now)

        try:
            await self._store.write(again)
        except _OthersArrivedError:
            return None
        return len(read)


def incoming_of(request: StoreRequest) -> Incoming:
    """The instance of a C-STORE request."""
    return Incoming(
        sender=_sender(request.caller),
        transfer_syntax_uid=request.transfer_syntax_uid,
        data=request.data,
        sop_class_uid=request.sop_class_uid,
        sop_instance_uid=request.sop_instance_uid,
        begins_at=request.begins_at,
        file=request.file if isinstance(request.file, SpoolFile) else None,
    )


def _sender(caller: Caller) -> Sender:
    """By the association, whose agreement has one `Caller`."""
    return Sender(caller.calling_ae, caller.address, transfer=caller)


def _code(error: GatewayError) -> str:
    return f"{status_of(error, STORE_STATUSES):04X}"
