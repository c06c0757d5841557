"""Station `performed_step`: MPPS over DIMSE (PS3.4 F.7, F.8) and over the web (PS3.18 chapter 15). Success follows
the commit.

One transaction keeps the performed step, links it to the scheduled steps that it carries out, and moves those. What
modalities did is a part of an order's history, at the time at which they did it: an event that comes late is put in its
place among the order's messages (`records.order_history`).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Sequence
from datetime import tzinfo
from functools import partial
from typing import Final, NamedTuple

import orjson
from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import DuplicateKey, Rejected, UnknownKey
from gateway.journey.performed_step.asking import asked_by_begin, asked_by_update
from gateway.journey.performed_step.auditing import event_of_request
from gateway.journey.performed_step.consequences import Change, Consequence, follow
from gateway.journey.performed_step.linking import Linking, link
from gateway.journey.performed_step.moving import WholeHistory, move, with_begin, with_end
from gateway.journey.performed_step.request import Request
from gateway.long_work import beside
from gateway.records.audit import Action
from gateway.records.changing import with_changes
from gateway.records.finding import Finding
from gateway.records.imaging_order import Order
from gateway.records.order import Attributes
from gateway.records.performed_step import (
    PerformedState,
    PerformedStep,
    ScheduledItem,
    begun,
    scheduled_items,
    updated,
)
from gateway.records.performed_times import event_time
from gateway.records.row_ids import PerformedStepRow
from gateway.records.step import StepEvent
from gateway.store import Store, audit, performed_steps, refusals, step_candidates, unlinked_items
from gateway.store import order_book as book

log = logging.getLogger(__name__)

UNKNOWN: Final = "there is no such performed step"


class _Beginning(NamedTuple):
    """A performed step that begins."""

    step: PerformedStep
    items: Sequence[ScheduledItem]
    """The scheduled steps that the modality names."""
    digest: bytes
    """Of what is stated."""


class PerformedSteps:
    """Keeps performed steps; each protocol has an edge that calls it.

    `history`: of an order, from the stations that know it; `zone`: of dates and times without offset; `strict`: AE
    titles whose requests must be as the standard says; `consequences`: queue what other stations do about a change.
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

    async def create(self, request: Request) -> bool:
        """The performed step begins, and with it its scheduled steps.

        The same request again, after an answer that was lost, changes nothing: False. Raises `DuplicateKey`,
        `InvalidValue`, `RequiredMissing`, `Unavailable`.
        """
        read = partial(_begun, request.attributes, strict=request.modality in self._strict)
        beginning = await beside(read) if request.is_long else read()
        begin = partial(self._begin, request=request, beginning=beginning, now=self._clock())
        alarms = await self._store.write(begin, asked_by_begin(request.sop_uid, beginning.items))
        if alarms is None:
            return False
        if alarms:
            places = ", ".join(dict.fromkeys(str(finding.place) for finding in alarms))
            log.warning("findings of a performed step of %s: %s", request.modality, places)
        return True

    async def set(self, request: Request) -> None:
        """The performed step says more, or ends, and with it its scheduled steps.

        Raises `UnknownKey`, `Conflict` (it has ended), `InvalidValue`, `RequiredMissing`, `Unavailable`.
        """
        strict, now = request.modality in self._strict, self._clock()
        update = partial(self._update, request=request, strict=strict, now=now)
        await self._store.write(update, asked_by_update(request.sop_uid, request.attributes))

    async def get(self, sop_uid: str) -> Attributes:
        """All that is kept of a performed step. Raises `UnknownKey`, `Unavailable`."""
        row = await self._store.read(lambda connection: performed_steps.find(connection, sop_uid))
        if row is None:
            raise UnknownKey(UNKNOWN)
        attributes: Attributes = row["attributes"]
        return attributes

    async def begun_by(self, sop_uid: str) -> str:
        """AE title that has begun a performed step; empty: there is none. Raises `Unavailable`."""
        row = await self._store.read(lambda connection: performed_steps.find(connection, sop_uid))
        return str(row["calling_ae"]) if row is not None else ""

    async def keep_refused(self, request: Request, outcome: str, error: Rejected) -> None:
        """Keep a refused request for whoever looks for the fault. `outcome`: the request and its status in the words
        of its protocol, such as `N-SET 0112`. Raises nothing of the database."""
        written = partial(orjson.dumps, request.attributes)
        await refusals.keep(
            self._store,
            "request",
            refused_at=self._clock(),
            source=f"{request.modality} {request.address}",
            reason=f"{outcome} {error}",
            body=await beside(written) if request.is_long else written(),
        )

    def _begin(
        self, connection: Connection, request: Request, beginning: _Beginning, now: int
    ) -> tuple[Finding, ...] | None:
        """What a person should know of the links; None: it has begun already. Raises `DuplicateKey`."""
        step, items, digest = beginning
        before = performed_steps.hold(connection, request.sop_uid, items)
        if before is not None:
            if before["digest"] == digest:
                return None
            raise DuplicateKey("another performed step has this SOP Instance UID")
        linking = link(connection, step.attributes, items)
        begun_at = event_time(step.attributes, "Start", received_at=now, zone=self._zone)
        with_findings = with_changes(step, findings=(*step.findings, *linking.findings))
        row = performed_steps.add(
            connection, request.sop_uid, with_findings, calling_ae=request.modality, digest=digest, begun_at=begun_at,
            now=now,
        )  # fmt: skip
        concerned = tuple(one.candidate for one in linking.links)
        event = StepEvent.PPS_START
        known = performed_steps.events_by_order(connection, linking.orders)
        known = with_begin(known, request.sop_uid, begun_at, concerned)
        _keep_links(connection, row, linking)
        move(connection, linking.orders, self._history, request.sop_uid, event, now=now, known=known)
        start = Change(row, request.sop_uid, step, event, begun_at, concerned, request.attributes, is_created=True)
        audit.record(connection, event_of_request(request, step.attributes, Action.CREATE, step.state.value, now))
        follow(connection, self._consequences, start)
        return linking.findings

    def _concerned(self, connection: Connection, sop_uid: str) -> list[Order]:
        """The orders of a performed step, held."""
        return [book.get(connection, order) for order in performed_steps.orders_of(connection, sop_uid)]

    def _update(self, connection: Connection, request: Request, strict: bool, now: int) -> None:
        """Raises `UnknownKey`, `Conflict` and `InvalidValue`, with `strict` `RequiredMissing` too."""
        before = performed_steps.hold(connection, request.sop_uid)
        if before is None:
            raise UnknownKey(UNKNOWN)
        step = updated(performed_steps.step_of(before), request.attributes, strict=strict)
        row = PerformedStepRow(before["id"])
        ended_at = None
        if step.state is not PerformedState.IN_PROGRESS:
            ended_at = max(before["begun_at"], event_time(step.attributes, "End", received_at=now, zone=self._zone))
        # The end that a rule has put gives way to the modality's own word.
        was_ended = bool(before["end_event"])
        orders = self._concerned(connection, request.sop_uid) if was_ended or ended_at is not None else []
        known = performed_steps.events_by_order(connection, orders)
        if ended_at is not None:
            known = {order: with_end(events, request.sop_uid, step.event, ended_at) for order, events in known.items()}
        performed_steps.change(connection, before, step, ended_at=ended_at, now=now)
        move(connection, orders, self._history, request.sop_uid, step.event, now=now, known=known, anew=was_ended)
        event, at = (None, now) if ended_at is None else (step.event, ended_at)
        if was_ended and ended_at is None:
            event, at = step.event, before["begun_at"]
        concerned = tuple(step_candidates.links_of(connection, row)) if self._consequences else ()
        change = Change(row, request.sop_uid, step, event, at, concerned, request.attributes)
        audit.record(connection, event_of_request(request, step.attributes, Action.UPDATE, step.state.value, now))
        follow(connection, self._consequences, change)


def _keep_links(connection: Connection, row: PerformedStepRow, linking: Linking) -> None:
    """Keep the links of a new performed step; items that have none wait."""
    for one in linking.links:
        performed_steps.link(connection, row, *one)
    for item in linking.unlinked:
        unlinked_items.add(connection, row, item, by_person=False)


def _begun(attributes: Attributes, *, strict: bool) -> _Beginning:
    """The performed step as it begins. Raises as `begun` does."""
    step = begun(attributes, strict=strict)
    return _Beginning(step, scheduled_items(step.attributes), _digest(attributes))


def _digest(attributes: Attributes) -> bytes:
    return hashlib.sha256(orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS)).digest()
