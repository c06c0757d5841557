"""Station `performed_step`: N-CREATE, N-SET and N-GET (PS3.4 F.7, F.8). Success follows the commit.

One transaction keeps the performed step, links it to the scheduled steps that it carries out, and moves those. What
modalities did is a part of an order's history, at the time at which they did it: an event that comes late is put in its
place among the order's messages (`records.order_history`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import tzinfo
from functools import partial

import orjson
from pydicom.datadict import keyword_for_tag
from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import DuplicateKey, GatewayError, Rejected, Unavailable, UnknownKey
from gateway.journey.performed_step.consequences import Change, Consequence, follow
from gateway.journey.performed_step.linking import link
from gateway.journey.performed_step.moving import WholeHistory, move
from gateway.mapping.attributes import from_dataset, to_dataset
from gateway.observe import metrics
from gateway.records.finding import Finding
from gateway.records.order import Attributes
from gateway.records.performed_step import PerformedState, PerformedStep, begun, updated
from gateway.records.performed_times import event_time
from gateway.records.row_ids import PerformedStepRow
from gateway.records.step import StepEvent
from gateway.store import Store, performed_steps, refusals
from gateway.store import order_book as book
from gateway.store.statement import Row
from gateway.wire.dimse import AttributesRequest, Caller, ExplainedFailure, GetRequest, Got
from gateway.wire.dimse.statuses import NORMALIZED_STATUSES, NOT_ALL_ATTRIBUTES, SUCCESS, status_of

log = logging.getLogger(__name__)

_Work = Callable[[AttributesRequest, Attributes], Awaitable[None]]


class PerformedSteps:
    """Keeps performed steps; what the DIMSE server calls.

    `history`: of an order, from the stations that know it; `zone`: of dates and times without offset; `strict`: calling
    AE titles whose requests must be as the standard says; `consequences`: queue what other stations do about a change.
    """

    def __init__(
        self,
        store: Store,
        history: WholeHistory,
        clock: Clock,
        *,
        zone: tzinfo,
        strict: Collection[str] = frozenset(),
        consequences: Sequence[Consequence] = (),
    ) -> None:
        self._store = store
        self._history = history
        self._clock = clock
        self._zone = zone
        self._strict = strict
        self._consequences = consequences

    async def create(self, request: AttributesRequest) -> None:
        """N-CREATE: the performed step begins, and with it its scheduled steps.

        The same N-CREATE again, after an answer that was lost, changes nothing. Raises `ExplainedFailure`.
        """
        await self._answered("N-CREATE", request, self._create)

    async def set(self, request: AttributesRequest) -> None:
        """N-SET: the performed step says more, or ends, and with it its scheduled steps. Raises `ExplainedFailure`."""
        await self._answered("N-SET", request, self._set)

    async def get(self, request: GetRequest) -> Got:
        """N-GET: the attributes that are asked for, as far as they are kept. Raises `ExplainedFailure`."""
        try:
            row = await self._store.read(lambda connection: performed_steps.find(connection, request.sop_instance_uid))
            if row is None:
                raise UnknownKey("there is no such performed step")
        except GatewayError as error:
            _count("N-GET", status_of(error, NORMALIZED_STATUSES))
            raise ExplainedFailure(error) from error
        got = _got(row["attributes"], request.tags)
        _count("N-GET", NOT_ALL_ATTRIBUTES if got.not_kept else SUCCESS)
        return got

    async def _answered(self, operation: str, request: AttributesRequest, work: _Work) -> None:
        read = partial(from_dataset, request.dataset, with_empty=True)
        attributes = await asyncio.to_thread(read) if request.is_long else read()
        try:
            await work(request, attributes)
        except GatewayError as error:
            status = status_of(error, NORMALIZED_STATUSES)
            _count(operation, status)
            if isinstance(error, Rejected):
                await self._keep_refused(operation, request.caller, attributes, status, error)
            raise ExplainedFailure(error) from error
        _count(operation, SUCCESS)

    async def _keep_refused(
        self, operation: str, caller: Caller, attributes: Attributes, status: int, error: Rejected
    ) -> None:
        keep = partial(
            refusals.add,
            refused_at=self._clock(),
            source=f"{caller.calling_ae} {caller.address}",
            reason=f"{operation} {status:04X} {error}",
            body=orjson.dumps(attributes),
        )
        try:
            await self._store.write(keep)
        except Unavailable as failure:
            log.error("refused request not kept: %s", failure)

    async def _create(self, request: AttributesRequest, attributes: Attributes) -> None:
        step = begun(attributes, strict=request.caller.calling_ae in self._strict)
        digest, now = _digest(attributes), self._clock()
        alarms = await self._store.write(lambda connection: self._begin(connection, request, step, digest, now))
        if alarms:
            places = ", ".join(dict.fromkeys(str(finding.place) for finding in alarms))
            log.warning("findings of a performed step of %s: %s", request.caller.calling_ae, places)

    def _begin(
        self, connection: Connection, request: AttributesRequest, step: PerformedStep, digest: bytes, now: int
    ) -> tuple[Finding, ...]:
        """What a person should know of the links. Raises `DuplicateKey`."""
        before = performed_steps.hold(connection, request.sop_instance_uid)
        if before is not None:
            if before["digest"] == digest:
                return ()
            raise DuplicateKey("another performed step has this SOP Instance UID")
        linking = link(connection, step.attributes)
        begun_at = event_time(step.attributes, "Start", received_at=now, zone=self._zone)
        row = performed_steps.add(
            connection,
            request.sop_instance_uid,
            replace(step, findings=(*step.findings, *linking.findings)),
            calling_ae=request.caller.calling_ae,
            digest=digest,
            begun_at=begun_at,
            now=now,
        )
        for one in linking.links:
            performed_steps.link(connection, row, *one)
        move(connection, linking.orders, self._history, request.sop_instance_uid, StepEvent.PPS_START, now=now)
        concerned = tuple(one.candidate for one in linking.links)
        start = Change(row, request.sop_instance_uid, step, StepEvent.PPS_START, begun_at, concerned, step.attributes)
        follow(connection, self._consequences, start)
        return linking.findings

    async def _set(self, request: AttributesRequest, attributes: Attributes) -> None:
        strict, now = request.caller.calling_ae in self._strict, self._clock()
        await self._store.write(lambda connection: self._update(connection, request, attributes, strict, now))

    def _update(
        self, connection: Connection, request: AttributesRequest, attributes: Attributes, strict: bool, now: int
    ) -> None:
        """Raises `UnknownKey`, `Conflict` and `InvalidValue`, with `strict` `RequiredMissing` too."""
        before = performed_steps.hold(connection, request.sop_instance_uid)
        if before is None:
            raise UnknownKey("there is no such performed step")
        kept = _step_of(before)
        step = updated(kept, attributes, strict=strict)
        if step is kept:
            return
        row = PerformedStepRow(before["id"])
        ended_at = None
        if step.state is not PerformedState.IN_PROGRESS:
            ended_at = max(before["begun_at"], event_time(step.attributes, "End", received_at=now, zone=self._zone))
        performed_steps.change(connection, row, step, ended_at=ended_at, now=now)
        if ended_at is not None:
            orders = [book.get(connection, order) for order in performed_steps.orders_of(connection, row)]
            move(connection, orders, self._history, request.sop_instance_uid, step.event, now=now)
        event, at = (None, now) if ended_at is None else (step.event, ended_at)
        concerned = tuple(performed_steps.links_of(connection, row)) if self._consequences else ()
        change = Change(row, request.sop_instance_uid, step, event, at, concerned, attributes)
        follow(connection, self._consequences, change)


def _step_of(row: Row) -> PerformedStep:
    findings = tuple(Finding(one["place"], one["text"]) for one in row["findings"])
    return PerformedStep(PerformedState(row["state"]), row["attributes"], findings)


def _digest(attributes: Attributes) -> bytes:
    return hashlib.sha256(orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS)).digest()


def _got(attributes: Attributes, tags: Sequence[int]) -> Got:
    """The attributes with these tags (none: all); text that is not ASCII in UTF-8."""
    keywords = {tag: keyword_for_tag(tag) for tag in tags}
    wanted = {keyword: attributes[keyword] for keyword in keywords.values() if keyword in attributes}
    stated = wanted if tags else attributes
    dataset = to_dataset(stated)
    if not orjson.dumps(stated).isascii():
        dataset.SpecificCharacterSet = "ISO_IR 192"
    return Got(dataset, [tag for tag, keyword in keywords.items() if keyword not in attributes])


def _count(operation: str, status: int) -> None:
    metrics.PERFORMED_STEPS.labels(operation, f"{status:04X}").inc()
