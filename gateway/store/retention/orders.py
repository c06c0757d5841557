"""Orders with all that tells their story: procedures, steps, performed steps, messages, work that is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, exists, or_, select

from gateway.records.legal_hold import Held
from gateway.records.patient import Identity
from gateway.records.retention import Limits, RetentionKind, Stays
from gateway.store import legal_holds
from gateway.store.engine import lock
from gateway.store.order_book import number_keys
from gateway.store.retention import messages as of_messages
from gateway.store.retention import performed_steps as of_performed_steps
from gateway.store.retention import work
from gateway.store.retention.open_orders import is_open
from gateway.store.retention.rule import Rule, Verdict, of_orders, remove, unfinished
from gateway.store.schema import (
    EMPTY,
    link_changes,
    messages,
    order_conflicts,
    order_messages,
    orders,
    patients,
    performed_step_links,
    performed_steps,
    procedures,
    query_matches,
    steps,
    studies,
    study_evidence,
    study_links,
)


def _hold(connection: Connection, ids: Sequence[int]) -> None:
    keys = [
        key
        for row in _rows(connection, ids)
        for key in (
            f"patient|{row.issuer}|{row.patient_id}",
            *number_keys(row.study_uid, row.filler, row.placer, row.accession),
        )
    ]
    uids = study_uids(connection, ids)
    lock(connection, *keys, *(key for of_order in uids.values() for uid in of_order for key in number_keys(uid)))


def _rows(connection: Connection, ids: Sequence[int]) -> Sequence[Any]:
    columns = (patients.c.patient_id, patients.c.issuer, patients.c.former)
    wanted = select(orders, *columns).outerjoin(patients, patients.c.id == orders.c.patient)
    return connection.execute(wanted.where(orders.c.id.in_(ids))).all()


def study_uids(connection: Connection, ids: Sequence[int]) -> dict[int, set[str]]:
    """Order -> the Study Instance UIDs of its procedures."""
    wanted = select(procedures.c.order, procedures.c.study_uid).where(procedures.c.order.in_(ids))
    uids: dict[int, set[str]] = {}
    for order, uid in connection.execute(wanted):
        uids.setdefault(order, set()).add(uid)
    return uids


def _judge(connection: Connection, ids: Sequence[int], limits: Limits) -> Mapping[int, Stays]:
    verdict = Verdict()
    rows = _rows(connection, ids)
    verdict.stay((row.id for row in rows if row.updated_at >= limits.before), Stays.CHANGED)
    verdict.stay(is_open(connection, ids, limits), Stays.OPEN)
    if held := legal_holds.held(connection):
        verdict.stay((row.id for row in rows if _is_held(row, held)), Stays.HELD)
    uids = study_uids(connection, ids)
    for row in rows:
        uids.setdefault(row.id, set()).add(row.study_uid)
    verdict.stay(_begun(connection, ids), Stays.IN_PROGRESS)
    verdict.stay(_with_work(connection, rows, uids), Stays.UNDELIVERED)
    verdict.stay(_with_study(connection, rows, uids), Stays.STUDY)
    verdict.stay(_with_parts(connection, rows), Stays.PART)
    verdict.stay(_changed(connection, ids, limits), Stays.CHANGED)
    return verdict


def _is_held(row: Any, held: Held) -> bool:
    identities = [] if row.patient_id is None else [Identity(row.patient_id, row.issuer)]
    identities += [Identity(*one) for one in row.former or ()]
    return row.accession in held.accession_numbers or held.has_patient(identities)


def _begun(connection: Connection, ids: Sequence[int]) -> Iterable[int]:
    links = performed_step_links
    wanted = (
        select(links.c.order)
        .join(performed_steps, performed_steps.c.id == links.c.performed_step)
        .where(links.c.order.in_(ids), of_performed_steps.IS_BEGUN)
    )
    return connection.execute(wanted).scalars()


def _with_work(connection: Connection, rows: Sequence[Any], uids: Mapping[int, set[str]]) -> Iterable[int]:
    """Also messages that are passed on wait in a lane of the patient."""
    subjects = {row.id: {*uids[row.id], *([f"patient-{row.patient}"] if row.patient else ())} for row in rows}
    waiting = unfinished(connection, (one for of_order in subjects.values() for one in of_order))
    return [order for order, of_order in subjects.items() if of_order & waiting]


def _with_study(connection: Connection, rows: Sequence[Any], uids: Mapping[int, set[str]]) -> Iterable[int]:
    every = sorted({uid for of_order in uids.values() for uid in of_order if uid})
    kept = set(connection.execute(select(studies.c.study_uid).where(studies.c.study_uid.in_(every))).scalars())
    yield from (order for order, of_order in uids.items() if of_order & kept)
    numbers = sorted({row.accession for row in rows if row.accession})
    wanted = select(studies.c.accession, studies.c.patient_id).where(studies.c.accession.in_(numbers))
    named = {(number, patient) for number, patient in connection.execute(wanted)}
    yield from (row.id for row in rows if {(row.accession, row.patient_id), (row.accession, "")} & named)


def _with_parts(connection: Connection, rows: Sequence[Any]) -> Iterable[int]:
    placers = sorted({row.placer for row in rows if row.placer})
    fillers = sorted({row.filler for row in rows if row.filler})
    wanted = select(orders.c.sender, orders.c.parent, orders.c.parent_filler).where(
        or_(
            and_(orders.c.parent != EMPTY, orders.c.parent.in_(placers)),
            and_(orders.c.parent_filler != EMPTY, orders.c.parent_filler.in_(fillers)),
        )
    )
    parts = connection.execute(wanted).all()
    by_placer, by_filler = {(row[0], row[1]) for row in parts}, {(row[0], row[2]) for row in parts}
    for row in rows:
        if (row.placer and (row.sender, row.placer) in by_placer) or (
            row.filler and (row.sender, row.filler) in by_filler
        ):
            yield row.id


def _changed(connection: Connection, ids: Sequence[int], limits: Limits) -> Iterable[int]:
    """Orders of which a step, a performed step or a message is younger than they are themselves."""
    links = performed_step_links
    of_steps = (
        select(procedures.c.order)
        .join(steps, steps.c.procedure == procedures.c.id)
        .where(procedures.c.order.in_(ids), steps.c.updated_at >= limits.before)
    )
    of_performed = (
        select(links.c.order)
        .join(performed_steps, performed_steps.c.id == links.c.performed_step)
        .where(links.c.order.in_(ids), performed_steps.c.updated_at >= limits.before)
    )
    of_messages = (
        select(order_messages.c.order)
        .join(messages, messages.c.id == order_messages.c.message)
        .where(order_messages.c.order.in_(ids), messages.c.received_at >= limits.before)
    )
    for wanted in (of_steps, of_performed, of_messages):
        yield from connection.execute(wanted).scalars()


def delete(connection: Connection, ids: Sequence[int], _limits: Limits | None = None) -> Counter[str]:
    """Delete these orders and all that tells of nothing else."""
    tally: Counter[str] = Counter()
    uids = {uid for some in study_uids(connection, ids).values() for uid in some}
    uids |= set(connection.execute(select(orders.c.study_uid).where(orders.c.id.in_(ids))).scalars())
    message_ids = list(
        connection.execute(select(order_messages.c.message).where(order_messages.c.order.in_(ids))).scalars()
    )
    done = select(performed_step_links.c.performed_step).where(performed_step_links.c.order.in_(ids))
    performed = list(connection.execute(done.distinct()).scalars())
    of_procedures = list(connection.execute(select(procedures.c.id).where(procedures.c.order.in_(ids))).scalars())
    of_steps = list(connection.execute(select(steps.c.id).where(steps.c.procedure.in_(of_procedures))).scalars())
    remove(connection, tally, query_matches, query_matches.c.step, of_steps)
    for of_order in (link_changes, study_links, order_conflicts):
        remove(connection, tally, of_order, of_order.c.order, ids)
    remove(connection, tally, performed_step_links, performed_step_links.c.order, ids)
    remove(connection, tally, order_messages, order_messages.c.order, ids)
    remove(connection, tally, steps, steps.c.id, of_steps)
    remove(connection, tally, procedures, procedures.c.id, of_procedures)
    remove(connection, tally, orders, orders.c.id, ids)
    tally += of_performed_steps.delete(connection, _without_order(connection, performed))
    tally += of_messages.delete(connection, of_messages.without_subject(connection, message_ids))
    kept = set(connection.execute(select(studies.c.study_uid).where(studies.c.study_uid.in_(sorted(uids)))).scalars())
    work.delete_of(connection, tally, uids - kept)
    # What was stated of a study that never came.
    of_nothing_else = uids - kept - of_orders(connection, uids)
    remove(connection, tally, study_evidence, study_evidence.c.study_uid, sorted(of_nothing_else))
    return tally


def _without_order(connection: Connection, performed: Sequence[int]) -> list[int]:
    is_linked = exists().where(performed_step_links.c.performed_step == performed_steps.c.id)
    wanted = select(performed_steps.c.id).where(performed_steps.c.id.in_(performed), ~is_linked)
    return list(connection.execute(wanted).scalars())


ORDERS = Rule(RetentionKind.ORDERS, orders, orders.c.created_at, _judge, delete, _hold)
