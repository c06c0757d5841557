"""Station `study_arrival`: instances arrive. Headers are kept, pixels where there is a spool; Success follows the
commit."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import Connection

from gateway import long_work
from gateway.clock import Clock
from gateway.errors import Conflict, InvalidValue, Malformed, RequiredMissing, Unavailable, UnknownKey
from gateway.journey.study_arrival.pixels import PixelKeeping
from gateway.journey.study_arrival.transfers import Transfers
from gateway.mapping.elements import of_levels, surplus
from gateway.mapping.frames import tags_for
from gateway.observe import metrics
from gateway.records.arrival import InstanceArrival
from gateway.records.finding import Finding
from gateway.records.identifiers import SeriesInstanceUID, SOPInstanceUID, StudyInstanceUID
from gateway.records.order import Attributes
from gateway.spool import SpoolFile
from gateway.store import Store, audit, outbox, refusals, studies, study_arrivals
from gateway.wire.dimse import ExplainedFailure, StoreRequest
from gateway.wire.dimse.broken_header import SERIES_UID, STUDY_UID, readable_header
from gateway.wire.dimse.elements import DEFLATED
from gateway.wire.dimse.header import read_elements, short_header, split_header
from gateway.wire.dimse.identifier import Identifier
from gateway.wire.dimse.policy import Caller
from gateway.wire.dimse.statuses import STORE_STATUSES, SUCCESS, status_of

log = logging.getLogger(__name__)

REPLAY_TRIES: Final = 5
NAMES: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
"""Attributes without which an instance cannot be kept."""
UP_TO_THERE: Final = "the header is kept up to there"
FROM_THE_UIDS: Final = ", and from Study Instance UID on"
LEVELS: Final = ("study", "series", "instance")

ALWAYS: Final = {
    "study": frozenset({"StudyInstanceUID", "AccessionNumber", "PatientID", "IssuerOfPatientID", "PatientName"}),
    "series": frozenset({"SeriesInstanceUID", "Modality"}),
    "instance": frozenset({"SOPInstanceUID", "SOPClassUID", "PatientID", "IssuerOfPatientID"}),
}
"""Kept at each level whatever the mapping reads."""


class _OthersArrivedError(Exception):
    """Instances came while a study was read again: what was read is not all of it, and nothing is written."""


class StudyArrival:
    """Keeps what a PACS or modality stores; `store` is what the DIMSE server calls.

    `keywords`: per level (study, series, instance) the attributes that the study mapping reads. `pixels`: keeps
    instances with their pixels; None: only headers are kept.
    """

    def __init__(
        self,
        store: Store,
        keywords: Mapping[str, Collection[str]],
        quiet_seconds: float,
        clock: Clock,
        longest_wait_seconds: float = 600.0,
        transfers: Transfers | None = None,
        pixels: PixelKeeping | None = None,
    ) -> None:
        self._store = store
        self._pixels = pixels
        self._transfers = transfers or Transfers(lambda _event: None)
        self.adopt(keywords)
        self._quiet = round(quiet_seconds * 1_000_000)
        self._longest = round(longest_wait_seconds * 1_000_000)
        self._clock = clock

    @property
    def new_file(self) -> Callable[[str, str, str], SpoolFile] | None:
        """Makes the file of a long data set that is still arriving; None: no pixels are kept."""
        return None if self._pixels is None else self._pixels.spool.begin

    def adopt(self, keywords: Mapping[str, Collection[str]]) -> None:
        """Keep these attributes, per level, of the instances that come from now on, beside those always kept."""
        self._keywords = {level: sorted(ALWAYS[level].union(keywords[level])) for level in ALWAYS}
        self._tags = tags_for(frozenset(NAMES).union(*self._keywords.values()))

    async def store(self, request: StoreRequest) -> None:
        """Keep one instance.

        Raises `ExplainedFailure`: without a database with `Unavailable`, for a data set that is not the instance of the
        request with `Rejected`, for a broken data set with `Malformed`.
        """
        try:
            await self._store_one(request)
        except ExplainedFailure as failure:
            metrics.STORES.labels(_code(failure)).inc()
            raise
        metrics.STORES.labels(f"{SUCCESS:04X}").inc()

    async def _store_one(self, request: StoreRequest) -> None:
        if self._pixels is None:
            await self._keep(request, await self._read_or_refuse(request))
            return
        async with self._pixels.arriving(request) as stored:
            arrival = await self._read_or_refuse(request)
            await self._keep(request, replace(arrival, stored=await stored()))

    async def _read_or_refuse(self, request: StoreRequest) -> InstanceArrival:
        header = short_header(request.data, request.transfer_syntax_uid, begins_at=request.begins_at)
        read = partial(self._read, request, self._clock(), header)
        try:
            if header is not None:
                return read()
            # What a deflated data set inflates to is in memory for one instance at a time.
            beside = long_work.beside if request.transfer_syntax_uid in DEFLATED else asyncio.to_thread
            return await beside(read)
        except ExplainedFailure as failure:
            await self._refuse(request, failure)
            raise

    async def _keep(self, request: StoreRequest, arrival: InstanceArrival) -> None:
        began = self._transfers.began(request.caller, arrival)

        def keep(connection: Connection) -> bool:
            if began is not None:
                audit.record(connection, began)
            kept = study_arrivals.keep(connection, arrival)
            if kept.is_new:
                now = arrival.received_at
                outbox.settle_at(
                    connection, arrival.study_uid, due_at=now + self._quiet, now=now, longest=self._longest
                )
            if kept.has_new_file and self._pixels is not None:
                self._pixels.on_new_file(connection, arrival, kept.instance)
            return kept.is_new

        try:
            is_new = await self._store.write(keep)
        except Unavailable as error:
            raise ExplainedFailure(type(error)("the database is away; send again")) from error
        self._transfers.count(request.caller, arrival, is_new=is_new)

    def association_ended(self, caller: Caller) -> None:
        """Account for what came over an association."""
        self._transfers.ended(caller, self._clock())

    async def replay(
        self, study_uid: StudyInstanceUID, first: Callable[[Connection], None] = lambda _connection: None
    ) -> int:
        """Read a study's kept headers again with today's mapping and settle it anew; returns its instances.

        What it says is delivered to each EHR that does not have it yet. `first` is done in the same transaction, before
        the study is read; what it raises takes all back. Raises `UnknownKey`, or `Conflict` while instances keep
        arriving.
        """
        row = await self._store.read(lambda connection: studies.get(connection, study_uid))
        if row is None:
            raise UnknownKey("there is no such study", place=study_uid)
        for _ in range(REPLAY_TRIES):
            count = await self._replay(study_uid, row["id"], first)
            if count is not None:
                return count
        raise Conflict("the study is arriving; it is read with today's mapping anyway", place=study_uid)

    async def _replay(self, study_uid: StudyInstanceUID, study: int, first: Callable[[Connection], None]) -> int | None:
        """The number of instances read again; None when others came meanwhile."""
        headers = await self._store.read(lambda connection: studies.headers(connection, study))
        read = await asyncio.to_thread(self._read_again, headers)
        now = self._clock()

        def again(connection: Connection) -> None:
            first(connection)
            if not study_arrivals.say_again(connection, study_uid, study, read):
                raise _OthersArrivedError
            studies.touch(connection, study_uid)
            outbox.settle_at(connection, study_uid, due_at=now, now=now)

        try:
            await self._store.write(again)
        except _OthersArrivedError:
            return None
        return len(read)

    def _read_again(
        self, headers: Sequence[tuple[int, bytes, str, bytes]]
    ) -> dict[int, tuple[bytes, dict[str, Attributes]]]:
        read = {}
        for one, digest, syntax, header in headers:
            read[one] = digest, of_levels(read_elements(header, syntax, self._tags, faults=[]), self._keywords)
        return read

    def _read(self, request: StoreRequest, now: int, header: bytes | None = None) -> InstanceArrival:
        header, elements, findings, is_whole = _header_of(request, header, self._tags)
        levels = of_levels(elements, self._keywords)
        if not is_whole:
            levels["instance"].setdefault("SOPInstanceUID", request.sop_instance_uid)
        study_uid, series_uid, sop_uid = _uids(request, levels)
        return InstanceArrival(
            study_uid=StudyInstanceUID(study_uid),
            study=levels["study"],
            series_uid=SeriesInstanceUID(series_uid),
            series=levels["series"],
            sop_uid=SOPInstanceUID(sop_uid),
            sop_class_uid=request.sop_class_uid,
            instance=levels["instance"],
            transfer_syntax_uid=request.transfer_syntax_uid,
            header=zlib.compress(header, 1),
            digest=hashlib.sha256(header).digest(),
            source_ae=request.caller.calling_ae,
            received_at=now,
            findings=(*findings, *surplus(elements)),
        )

    async def _refuse(self, request: StoreRequest, failure: ExplainedFailure) -> None:
        caller = request.caller
        log.warning("instance from %s refused with %s", caller.calling_ae, _code(failure))
        await refusals.keep(
            self._store,
            "instance",
            refused_at=self._clock(),
            source=f"{caller.calling_ae} {caller.address}",
            reason=f"{_code(failure)} {failure.comment}",
            body=bytes(request.data[request.begins_at : request.begins_at + refusals.KEPT_BYTES]),
        )


class _Header(NamedTuple):
    """What could be read of a header."""

    encoded: bytes
    elements: Identifier
    findings: tuple[Finding, ...]
    is_whole: bool


def _header_of(request: StoreRequest, header: bytes | None, tags: Collection[int]) -> _Header:
    """The header of an instance (None: not split from its pixels yet), and the elements `tags` of it.

    Of a broken header what stands before the fault, and from the UIDs of study and series on, if these can be read; of
    a broken attribute the others.
    """
    data, at, syntax = request.data, request.begins_at, request.transfer_syntax_uid
    unread: list[Malformed] = []
    faults: list[tuple[Malformed, str]] = []
    is_whole = True
    try:
        header = split_header(data, syntax, begins_at=at) if header is None else header
        elements = read_elements(header, syntax, tags, unread)
    except Malformed as error:
        is_whole = False
        unread.clear()
        try:
            header, goes_on = readable_header(data, syntax, begins_at=at)
            elements = read_elements(header, syntax, tags, unread)
        except Malformed:
            raise ExplainedFailure(error) from error
        if not all(tag in elements and any(elements[tag].values) for tag in (STUDY_UID, SERIES_UID)):
            raise ExplainedFailure(error) from error
        faults.append((error, UP_TO_THERE + (FROM_THE_UIDS if goes_on else "")))
    faults += [(fault, "the attribute is left out") for fault in unread]
    for fault, rest in faults:
        log.warning("an instance from %s: %s %s; %s", request.caller.calling_ae, fault.place, fault.message, rest)
    findings = tuple(Finding(fault.place, f"{fault.message}; {rest}") for fault, rest in faults)
    return _Header(header, elements, findings, is_whole)


def _code(failure: ExplainedFailure) -> str:
    return f"{status_of(failure, STORE_STATUSES):04X}"


def _uids(request: StoreRequest, levels: Mapping[str, Attributes]) -> tuple[str, str, str]:
    """Of study, series and instance. Raises `ExplainedFailure` without them, or for another instance."""
    # Under another VR than UI an attribute may hold items.
    study, series, instance = (
        uid if isinstance(uid := levels[level].get(keyword), str) else ""
        for level, keyword in zip(LEVELS, NAMES, strict=True)
    )
    for keyword, uid in zip(NAMES, (study, series, instance), strict=True):
        if not uid:
            raise ExplainedFailure(RequiredMissing(f"{keyword} is missing"))
    for keyword, announced in (
        ("SOPInstanceUID", request.sop_instance_uid),
        ("SOPClassUID", request.sop_class_uid),
    ):
        if str(levels["instance"].get(keyword) or announced) != announced:
            raise ExplainedFailure(InvalidValue(f"{keyword} is not the one of the C-STORE request"))
    return study, series, instance
