"""Links that are made or taken away after the N-CREATE: by the order that comes late, or by a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Connection

from gateway.errors import Conflict
from gateway.journey.performed_step.consequences import Change, Consequence, follow
from gateway.journey.performed_step.linking import Linking, link, linking_of
from gateway.journey.performed_step.moving import WholeHistory, rebuild
from gateway.records.imaging_order import Order, Performed, Said
from gateway.records.performed_matching import UNMATCHED, Candidate, MatchedBy, nearest_item, place_of
from gateway.records.performed_step import scheduled_items
from gateway.records.row_ids import OrderRow, PerformedStepRow
from gateway.records.step import StepEvent
from gateway.store import order_book as book
from gateway.store import performed_steps, step_candidates, unlinked_items
from gateway.store.statement import Row


@dataclass(frozen=True, slots=True)
class Tools:
    """What the station knows an order's history by, and what follows from a change."""

    history: WholeHistory
    consequences: Sequence[Consequence]


@dataclass(frozen=True, slots=True)
class LateLinking:
    """Links performed steps to the order that comes after them, by the rule of the N-CREATE; what `scheduling` calls in
    its own transaction."""

    consequences: Sequence[Consequence]

    def __call__(
        self,
        connection: Connection,
        order: OrderRow,
        performed_steps: Sequence[PerformedStepRow],
        history: WholeHistory,
        *,
        now: int,
    ) -> None:
        """Link those of the performed steps that name a step of `order`. `history`: with the present message."""
        tools = Tools(history, self.consequences)
        for row in sorted(performed_steps):
            _link_late(connection, tools, row, order, now)


def _link_late(connection: Connection, tools: Tools, row: PerformedStepRow, order: OrderRow, now: int) -> None:
    performed = performed_steps.hold_row(connection, row)
    if performed is None:
        return
    waiting = [one for one in unlinked_items.of_step(connection, row) if not one.by_person]
    linking = link(connection, performed["attributes"], [one.item for one in waiting])
    if not any(one.candidate.order == order for one in linking.links):
        return
    for one in waiting:
        if one.item not in linking.unlinked:
            unlinked_items.remove(connection, one.row)
    attach(connection, tools, performed, linking, now=now)


def attach_by_hand(connection: Connection, tools: Tools, performed: Row, target: Candidate, *, now: int) -> None:
    """Link the performed step, which the transaction holds, to a scheduled step, because a person says so."""
    row = PerformedStepRow(performed["id"])
    waiting = unlinked_items.of_step(connection, row)
    number = nearest_item([one.item for one in waiting], target)
    if number is not None:
        unlinked_items.remove(connection, waiting[number].row)
    left = tuple(one.item for one in waiting if number is None or one is not waiting[number])
    linking = linking_of(connection, performed["attributes"], {target: MatchedBy.HAND}, left)
    attach(connection, tools, performed, linking, now=now)


def attach(connection: Connection, tools: Tools, performed: Row, linking: Linking, *, now: int) -> None:
    """Keep the links of a performed step, and bring their orders to what it has done by now."""
    row = PerformedStepRow(performed["id"])
    linked = {place_of(one) for one in step_candidates.links_of(connection, row)}
    new = [one for one in linking.links if place_of(one.candidate) not in linked]
    for one in new:
        performed_steps.link(connection, row, *one)
    step = performed_steps.step_of(performed)
    left = () if linking.unlinked else UNMATCHED
    findings = dict.fromkeys((*(one for one in step.findings if one.text not in left), *linking.findings))
    step = replace(step, findings=tuple(findings))
    performed_steps.keep_findings(connection, row, step)
    concerned = tuple(one.candidate for one in new)
    for event, at in performed_steps.moments_of(performed):
        # One after the other, so that the consequences of the begin see the orders as they were then.
        history = partial(_until, tools.history, performed["sop_uid"], event)
        for order in linking.orders:
            assert order.row is not None
            rebuild(connection, book.get(connection, order.row), history, now=now)
        change = Change(row, performed["sop_uid"], step, event, at, concerned, request=None)
        follow(connection, tools.consequences, change)


def _until(
    history: WholeHistory, sop_uid: str, event: StepEvent, connection: Connection, order: Order
) -> Sequence[Said]:
    """The history of an order, of a performed step no more than its start where `event` is that."""
    return [
        one
        for one in history(connection, order)
        if not isinstance(one, Performed)
        or one.performed_step != sop_uid
        or event is not StepEvent.PPS_START
        or one.event is event
    ]


def detach(connection: Connection, tools: Tools, performed: Row, target: Candidate, *, now: int) -> None:
    """Take a link away: what the performed step did is no longer a part of the order's history.

    Raises `Conflict` when the messages of the order cannot be read with today's mappings.
    """
    row = PerformedStepRow(performed["id"])
    order = book.get(connection, target.order)
    performed_steps.unlink(connection, row, target)
    waiting = [one.item for one in unlinked_items.of_step(connection, row)]
    free = [one for one in scheduled_items(performed["attributes"]) if one not in waiting]
    number = nearest_item(free, target)
    if number is not None:
        unlinked_items.add(connection, row, free[number], by_person=True)
    if not rebuild(connection, order, tools.history, now=now):
        raise Conflict("the messages of the order cannot be read with today's mappings, so it cannot be rebuilt")
    # A RIS that has the status of the begin gets that of now: as if the wrong entry had been chosen.
    change = Change(
        row, performed["sop_uid"], performed_steps.step_of(performed), StepEvent.PPS_WRONG_ENTRY, now, (target,),
        request=None,
    )  # fmt: skip
    follow(connection, tools.consequences, change)
