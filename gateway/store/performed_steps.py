"""Performed steps (MPPS) and the scheduled steps to which they are linked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, delete, insert, select, union, update

from gateway.records.finding import Finding
from gateway.records.identifiers import looked_for
from gateway.records.imaging_order import Order, Performed
from gateway.records.performed_matching import Candidate, MatchedBy
from gateway.records.performed_step import PerformedState, PerformedStep, ScheduledItem, scheduled_items
from gateway.records.row_ids import OrderRow, PerformedStepRow
from gateway.records.step import StepEvent
from gateway.store.engine import lock
from gateway.store.foreseen import Read
from gateway.store.order_book import number_keys
from gateway.store.schema import (
    link_changes,
    performed_step_links,
    performed_steps,
    procedures,
)
from gateway.store.statement import Row, Statement

_LINKS: Final = performed_step_links
_BY_UID: Final = select(performed_steps).where(performed_steps.c.sop_uid == bindparam("sop_uid"))
_FIND: Final = Statement(_BY_UID)
_HOLD: Final = Statement(
    _BY_UID.with_for_update(), about=lambda values, _rows: (("performed step", values["sop_uid"]),)
)
_ADD: Final = Statement(
    insert(performed_steps),
    [column.name for column in performed_steps.columns if not column.primary_key],
    touches=lambda values: (("performed step", values["sop_uid"]),),
)
_CHANGE: Final = update(performed_steps).where(performed_steps.c.id == bindparam("the_row"))
_CHANGE_ALL: Final = Statement(
    _CHANGE,
    ("state", "attributes", "findings", "ended_at", "end_event", "silent_at", "updated_at"),
    touches=lambda values: (("performed step", values["sop_uid"]), ("performed row", values["the_row"])),
)
_LINK: Final = Statement(
    insert(_LINKS),
    ("performed_step", "order", "study_uid", "step_id", "match"),
    touches=lambda values: (("events of order", values["order"]), ("links of", values["performed_step"])),
)


def find(connection: Connection, sop_uid: str) -> Row | None:
    """The performed step of a SOP Instance UID."""
    return _FIND.first(connection, {"sop_uid": sop_uid})


def hold(connection: Connection, sop_uid: str, items: Iterable[ScheduledItem] = ()) -> Row | None:
    """The same, kept from others until the transaction ends; so is a UID that no performed step has.

    `items`: the orders that they name are kept from being made meanwhile, so that one of the two sees the other.
    """
    lock(connection, *keys_of(sop_uid, items))
    return _HOLD.first(connection, {"sop_uid": sop_uid})


def keys_of(sop_uid: str, items: Iterable[ScheduledItem] = ()) -> Iterator[str]:
    """What is held while a performed step is looked for and made or changed."""
    yield f"performed|{sop_uid}"
    for item in items:
        yield from number_keys(item.study_uid, accession_number=item.accession_number)


def hold_row(connection: Connection, row: PerformedStepRow) -> Row | None:
    """The performed step of a row, kept from others until the transaction ends; None where it was removed meanwhile, by
    an erasure for example."""
    found = get(connection, row)
    return None if found is None else hold(connection, found["sop_uid"])


def step_of(row: Row) -> PerformedStep:
    """The performed step that a row keeps."""
    findings = tuple(Finding(one["place"], one["text"]) for one in row["findings"])
    return PerformedStep(PerformedState(row["state"]), row["attributes"], findings)


def add(
    connection: Connection,
    sop_uid: str,
    step: PerformedStep,
    *,
    calling_ae: str,
    digest: bytes,
    begun_at: int,
    now: int,
) -> PerformedStepRow:
    accession_numbers = (item.accession_number for item in scheduled_items(step.attributes))
    row = _ADD.add(
        connection,
        {
            **_stated(step),
            "sop_uid": sop_uid,
            "calling_ae": calling_ae,
            "accession": next(filter(None, accession_numbers), ""),
            "patient_id": looked_for(str(step.attributes.get("PatientID") or "")),
            "digest": digest,
            "begun_at": begun_at,
            "ended_at": None,
            "end_event": "",
            "silent_at": None,
            "created_at": now,
            "updated_at": now,
        },
    )
    return PerformedStepRow(row)


def change(connection: Connection, held: Row, step: PerformedStep, *, ended_at: int | None, now: int) -> None:
    """Keep what an N-SET made of a performed step that is held. `ended_at`: when it ended; None: it is in progress."""
    end = {"ended_at": ended_at, "end_event": step.event.value if ended_at is not None else "", "silent_at": None}
    values = {"the_row": held["id"], "sop_uid": held["sop_uid"], **_stated(step), **end, "updated_at": now}
    _CHANGE_ALL.change_later(connection, values, row="the_row")


def keep_findings(connection: Connection, row: PerformedStepRow, step: PerformedStep) -> None:
    """Keep what a person should know of a performed step; the modality has stated nothing."""
    connection.execute(_CHANGE, {"the_row": row, "findings": [finding.as_row() for finding in step.findings]})


def _stated(step: PerformedStep) -> dict[str, Any]:
    return {
        "state": step.state.value,
        "attributes": step.attributes,
        "findings": [finding.as_row() for finding in step.findings],
    }


def read_of(sop_uid: str) -> Read:
    """What `hold` reads."""
    return _HOLD, {"sop_uid": sop_uid}


def known(connection: Connection, sop_uid: str) -> Row | None:
    """The performed step of a SOP Instance UID, if that was read beforehand and there is one."""
    rows = _HOLD.known(connection, {"sop_uid": sop_uid})
    return rows[0] if rows else None


def link(connection: Connection, row: PerformedStepRow, candidate: Candidate, match: MatchedBy) -> None:
    """Note that a scheduled step has been performed, and what led to it."""
    _LINK.add_later(
        connection,
        {
            "performed_step": row,
            "order": candidate.order,
            "study_uid": candidate.study_uid,
            "step_id": candidate.step_id,
            "match": match.value,
        },
    )


_UNLINK: Final = delete(_LINKS).where(
    _LINKS.c.performed_step == bindparam("the_row"),
    _LINKS.c.order == bindparam("the_order"),
    _LINKS.c.study_uid == bindparam("the_study"),
    _LINKS.c.step_id == bindparam("the_step"),
)


def unlink(connection: Connection, row: PerformedStepRow, candidate: Candidate) -> None:
    """Forget that a scheduled step has been performed by this performed step."""
    values = {"the_order": candidate.order, "the_study": candidate.study_uid, "the_step": candidate.step_id}
    connection.execute(_UNLINK, {"the_row": row, **values})


_ORDERS: Final = Statement(
    select(_LINKS.c.order)
    .join(performed_steps, performed_steps.c.id == _LINKS.c.performed_step)
    .where(performed_steps.c.sop_uid == bindparam("sop_uid"))
    .distinct()
    .order_by(_LINKS.c.order),
    about=lambda values, _rows: (("performed step", values["sop_uid"]),),
)
_OF_ORDER: Final = Statement(
    select(
        performed_steps.c.id, performed_steps.c.sop_uid, performed_steps.c.begun_at, performed_steps.c.ended_at,
        performed_steps.c.end_event, _LINKS.c.study_uid, _LINKS.c.step_id,
    )
    .join(_LINKS, _LINKS.c.performed_step == performed_steps.c.id)
    .where(_LINKS.c.order == bindparam("the_order"))
    .order_by(_LINKS.c.id),
    about=lambda values, rows: (("events of order", values["the_order"]), *(("performed row", row[0]) for row in rows)),
)  # fmt: skip


def orders_of(connection: Connection, sop_uid: str) -> list[OrderRow]:
    """The orders of which a performed step carries out steps, in ascending order."""
    return [one["order"] for one in _ORDERS.rows(connection, {"sop_uid": sop_uid})]


_BY_ROW: Final = Statement(select(performed_steps).where(performed_steps.c.id == bindparam("the_row")))
_STEPS: Final = Statement(
    select(_LINKS.c.study_uid, _LINKS.c.step_id).where(
        _LINKS.c.performed_step == bindparam("the_row"), _LINKS.c.order == bindparam("the_order")
    )
)


def get(connection: Connection, row: PerformedStepRow) -> Row | None:
    """The whole row."""
    return _BY_ROW.first(connection, {"the_row": row})


def steps_of(connection: Connection, row: PerformedStepRow, order: OrderRow) -> frozenset[tuple[str, str]]:
    """Study Instance UID and step id of the steps of an order that a performed step carries out."""
    rows = _STEPS.rows(connection, {"the_row": row, "the_order": order})
    return frozenset((one["study_uid"], one["step_id"]) for one in rows)


def events_of(connection: Connection, order: OrderRow) -> list[Performed]:
    """What modalities did to the steps of an order."""
    return [event for row in _OF_ORDER.rows(connection, {"the_order": order}) for event in _events(row)]


def events_by_order(connection: Connection, orders: Iterable[Order]) -> dict[OrderRow, list[Performed]]:
    """Row of an order -> what modalities did to its steps."""
    return {order.row: events_of(connection, order.row) for order in orders if order.row is not None}


def read_of_orders(sop_uid: str) -> Read:
    """What `orders_of` reads."""
    return _ORDERS, {"sop_uid": sop_uid}


def known_orders(connection: Connection, sop_uid: str) -> list[OrderRow]:
    """As `orders_of`, of what was read beforehand."""
    return [one["order"] for one in _ORDERS.known(connection, {"sop_uid": sop_uid}) or ()]


def read_of_events(order: OrderRow) -> Read:
    """What `events_of` reads."""
    return _OF_ORDER, {"the_order": order}


def _events(row: Row) -> Iterator[Performed]:
    for event, at in moments_of(row):
        yield Performed(at, event, row["sop_uid"], row["study_uid"], row["step_id"])


def moments_of(row: Row) -> Iterator[tuple[StepEvent, int]]:
    """The start of a performed step and, where there is one, its end; microseconds since 1970."""
    yield StepEvent.PPS_START, row["begun_at"]
    if row["ended_at"] is not None:
        yield StepEvent(row["end_event"]), row["ended_at"]


_UIDS_OF_STUDY: Final = (
    select(performed_steps.c.sop_uid)
    .join(_LINKS, _LINKS.c.performed_step == performed_steps.c.id)
    .join(procedures, and_(procedures.c.order == _LINKS.c.order, procedures.c.study_uid == _LINKS.c.study_uid))
    .where(procedures.c.study_uid == bindparam("the_study"))
    .distinct()
    .order_by(performed_steps.c.sop_uid)
)


def uids_of_study(connection: Connection, study_uid: str) -> list[str]:
    """SOP Instance UIDs of the performed steps that carry out scheduled steps of a study."""
    return list(connection.execute(_UIDS_OF_STUDY, {"the_study": study_uid}).scalars())


def of_journey(connection: Connection, *, accession_number: str, orders: list[OrderRow]) -> list[dict[str, Any]]:
    """The performed steps that are linked to these orders, were so until a person unlinked them, or state the accession
    number; each with its `links` and `changes`."""
    linked = select(_LINKS.c.performed_step).where(_LINKS.c.order.in_(orders))
    changed = select(link_changes.c.performed_step).where(link_changes.c.order.in_(orders))
    steps = performed_steps.c
    stating = [select(steps.id).where(steps.accession == accession_number)] if accession_number else []
    # Not one condition with OR in it: PostgreSQL would go through every performed step.
    meant = steps.id.in_(union(linked, changed, *stating))
    wanted = select(performed_steps).where(meant).order_by(steps.begun_at, steps.id)
    rows = [dict(row) for row in connection.execute(wanted).mappings()]
    for row in rows:
        of_row = select(_LINKS).where(_LINKS.c.performed_step == row["id"]).order_by(_LINKS.c.id)
        row["links"] = [dict(one) for one in connection.execute(of_row).mappings()]
        of_changes = select(link_changes).where(link_changes.c.performed_step == row["id"]).order_by(link_changes.c.id)
        row["changes"] = [{**one, "sop_uid": row["sop_uid"]} for one in connection.execute(of_changes).mappings()]
    return rows
