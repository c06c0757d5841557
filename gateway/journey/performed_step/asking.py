"""What the units that keep performed steps will read, hold and add: known when the request has been read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from sqlalchemy import Connection

from gateway.records.completeness import EvidenceKind
from gateway.records.evidence_of import ENDED
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order import Attributes
from gateway.records.performed_step import ScheduledItem, scheduled_items
from gateway.records.row_ids import OrderRow
from gateway.records.work import SETTLE, Lane
from gateway.store import completeness, order_book, outbox, patients, performed_steps, step_candidates
from gateway.store.foreseen import Read
from gateway.store.read_ahead import Asked, Further, is_plain

_ADDS = ("performed_steps",)
_ENDED = {state.value: kind for state, kind in ENDED.items()}


def asked_by_begin(sop_uid: str, items: Sequence[ScheduledItem]) -> Asked | None:
    """Of a performed step that begins: the scheduled steps that its items may name, and their orders. None where a
    database may refuse its numbers."""
    if not is_plain("".join((sop_uid, *(f"{one.study_uid}{one.accession_number}" for one in items)))):
        return None

    def reads() -> list[Read]:
        return [performed_steps.read_of(sop_uid), *(step_candidates.read_of_study(one.study_uid) for one in items)]

    def further(connection: Connection) -> Further:
        return Further(reads=[read for item in items for read in _of_item(connection, item)])

    return Asked((), partial(performed_steps.keys_of, sop_uid, items), reads, further, _ADDS)


def asked_by_update(sop_uid: str, stated: Attributes) -> Asked | None:
    """Of a performed step that goes on or ends: its links and their orders, and the evidence that its end is."""
    if not is_plain(sop_uid):
        return None
    kind = _ENDED.get(str(stated.get("PerformedProcedureStepStatus") or ""))

    def reads() -> list[Read]:
        return [performed_steps.read_of(sop_uid), performed_steps.read_of_orders(sop_uid)]

    def further(connection: Connection) -> Further:
        performed = performed_steps.known(connection, sop_uid)
        if performed is None:
            return Further()
        orders = performed_steps.known_orders(connection, sop_uid) if kind is not None else []
        named = dict.fromkeys(one.study_uid for one in scheduled_items(performed["attributes"]) if one.study_uid)
        of_end = list(_of_evidence(named, kind, sop_uid)) if kind is not None else []
        return Further(
            [key for study in named for key in (completeness.lock_of(study), str(_lane(study)))] if of_end else (),
            [step_candidates.read_of_links(performed["id"]), *_of_orders(orders), *of_end],
        )

    return Asked((), partial(performed_steps.keys_of, sop_uid), reads, further)


def _of_item(connection: Connection, item: ScheduledItem) -> Iterator[Read]:
    if orders := step_candidates.known_orders_of_study(connection, item.study_uid):
        yield from _of_orders(orders)
    elif item.accession_number:
        yield step_candidates.read_of_accession_number(item.accession_number)


def _of_orders(orders: Iterable[OrderRow]) -> Iterator[Read]:
    for order in orders:
        yield from order_book.reads_of(order)
        yield performed_steps.read_of_events(order)
        yield patients.read_of_order(order)


def _of_evidence(studies: Iterable[str], kind: EvidenceKind, sop_uid: str) -> Iterator[Read]:
    for study in studies:
        yield completeness.read_of(study, kind, sop_uid)
        yield outbox.read_of(_lane(study))


def _lane(study: str) -> Lane:
    return Lane(SETTLE, StudyInstanceUID(study))
