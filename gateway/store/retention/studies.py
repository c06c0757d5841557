"""Studies with series, instances, and all that is known of them: what EHRs hold, what is served, what was excluded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, func, select, update

from gateway.records.legal_hold import Held
from gateway.records.patient import Identity
from gateway.records.retention import Limits, RetentionKind, Stays
from gateway.store import commitments, image_forwards, legal_holds, pixel_files
from gateway.store import deleted_studies as deleted
from gateway.store.engine import lock
from gateway.store.retention import work
from gateway.store.retention.open_orders import is_open
from gateway.store.retention.performed_steps import IS_BEGUN
from gateway.store.retention.rule import Rule, Verdict, of_orders, remove, unfinished
from gateway.store.schema import (
    asked_commitments,
    availability_notifications,
    exclusions,
    former_uids,
    imaging_studies,
    imaging_study_tokens,
    instance_findings,
    instances,
    moved_instances,
    order_conflicts,
    orders,
    performed_steps,
    procedures,
    series,
    studies,
    study_evidence,
    study_links,
    study_requests,
    unlinked_items,
)
from gateway.store.study_keys import lock_of, lock_of_served

MOST_INSTANCES: Final = 500
"""Of a study that are deleted in one transaction."""
GOING: Final = "deleted:"
"""Begins the UID of a study that is too large for one transaction, and is deleted step by step: its name is gone first,
so that an instance that comes meanwhile begins the study anew."""
HAS_ITS_NAME: Final = studies.c.study_uid.not_like(f"{GOING}%")
"""Condition: the study is not being deleted."""


def _hold(connection: Connection, ids: Sequence[int]) -> None:
    uids = connection.execute(select(studies.c.study_uid).where(studies.c.id.in_(ids))).scalars().all()
    lock(connection, *map(lock_of, uids), *map(lock_of_served, uids))


def weigh(connection: Connection, ids: Sequence[int]) -> Mapping[int, int]:
    """Study -> how many instances it has."""
    wanted = (
        select(series.c.study, func.count(instances.c.id))
        .join(instances, instances.c.series == series.c.id)
        .where(series.c.study.in_(ids))
        .group_by(series.c.study)
    )
    return {row[0]: int(row[1]) for row in connection.execute(wanted)}


def _judge(connection: Connection, ids: Sequence[int], limits: Limits) -> Mapping[int, Stays]:
    verdict = Verdict()
    every = connection.execute(select(studies).where(studies.c.id.in_(ids))).all()
    rows = [row for row in every if not row.study_uid.startswith(GOING)]
    verdict.stay((row.id for row in rows if row.last_at >= limits.before), Stays.CHANGED)
    verdict.stay((row.id for row in rows if row.settled_revision < row.revision), Stays.UNSETTLED)
    uids = [row.study_uid for row in rows]
    waiting = unfinished(connection, uids) | image_forwards.unfinished(connection, uids)
    verdict.stay((row.id for row in rows if row.study_uid in waiting), Stays.UNDELIVERED)
    if held := legal_holds.held(connection):
        verdict.stay((row.id for row in rows if _is_held(row, held)), Stays.HELD)
    verdict.stay(_with_open_order(connection, rows, limits), Stays.OPEN)
    verdict.stay(_begun(connection, rows), Stays.IN_PROGRESS)
    return verdict


def _is_held(row: Any, held: Held) -> bool:
    return row.accession in held.accession_numbers or held.has_patient([Identity(row.patient_id, row.patient_issuer)])


def _with_open_order(connection: Connection, rows: Sequence[Any], limits: Limits) -> Iterable[int]:
    uids, numbers = [row.study_uid for row in rows], sorted({row.accession for row in rows if row.accession})
    by_uid: dict[str, set[int]] = {}
    for wanted in (
        select(procedures.c.study_uid, procedures.c.order).where(procedures.c.study_uid.in_(uids)),
        select(orders.c.accession, orders.c.id).where(orders.c.accession.in_(numbers)),
    ):
        for name, order in connection.execute(wanted):
            by_uid.setdefault(name, set()).add(order)
    opened = is_open(connection, {order for some in by_uid.values() for order in some}, limits)
    return [row.id for row in rows if (by_uid.get(row.study_uid, set()) | by_uid.get(row.accession, set())) & opened]


def _begun(connection: Connection, rows: Sequence[Any]) -> Iterable[int]:
    wanted = (
        select(unlinked_items.c.study_uid)
        .join(performed_steps, performed_steps.c.id == unlinked_items.c.performed_step)
        .where(unlinked_items.c.study_uid.in_([row.study_uid for row in rows]), IS_BEGUN)
    )
    begun = set(connection.execute(wanted).scalars())
    return [row.id for row in rows if row.study_uid in begun]


def _delete(connection: Connection, ids: Sequence[int], limits: Limits) -> Counter[str]:
    return delete_studies(connection, ids, remembered_at=limits.now)


def delete_studies(connection: Connection, ids: Sequence[int], *, remembered_at: int | None) -> Counter[str]:
    """Delete these studies; a larger one than `MOST_INSTANCES` loses its name and the first of its instances, and is
    deleted by further calls. `remembered_at`: when retention did so, for those of which a part comes again; None: what
    comes again is new."""
    tally: Counter[str] = Counter()
    rows = connection.execute(select(studies.c.id, studies.c.study_uid).where(studies.c.id.in_(ids))).all()
    uids = [row.study_uid for row in rows if not row.study_uid.startswith(GOING)]
    weights = weigh(connection, ids)
    if remembered_at is not None:
        numbers = {row.study_uid: weights.get(row.id, 0) for row in rows if row.study_uid in uids}
        deleted.remember(connection, numbers, remembered_at)
    _delete_named(connection, tally, uids)
    for row in rows:
        if weights.get(row.id, 0) > MOST_INSTANCES:
            connection.execute(update(studies).where(studies.c.id == row.id).values(**_nameless(row.id)))
            _delete_some(connection, tally, row.id)
    small = [row.id for row in rows if weights.get(row.id, 0) <= MOST_INSTANCES]
    of_series = list(connection.execute(select(series.c.id).where(series.c.study.in_(small))).scalars())
    of_instances = list(connection.execute(select(instances.c.id).where(instances.c.series.in_(of_series))).scalars())
    _delete_instances(connection, tally, of_instances)
    remove(connection, tally, series, series.c.id, of_series)
    remove(connection, tally, studies, studies.c.id, small)
    return tally


def _nameless(row: int) -> dict[str, Any]:
    return {
        "study_uid": f"{GOING}{row}", "accession": "", "patient_id": "", "patient_issuer": "", "attributes": {},
        "sources": {}, "findings": [], "source_ae": "", "withdrawn_by": "", "withdrawn_reason": "",
        "study_date": "", "name_key": "",
    }  # fmt: skip


def _delete_some(connection: Connection, tally: Counter[str], study: int) -> None:
    wanted = (
        select(instances.c.id)
        .join(series, series.c.id == instances.c.series)
        .where(series.c.study == study)
        .limit(MOST_INSTANCES)
    )
    _delete_instances(connection, tally, list(connection.execute(wanted).scalars()))


def _delete_instances(connection: Connection, tally: Counter[str], ids: Sequence[int]) -> None:
    commitments.forget(connection, tally, ids)
    image_forwards.delete_of(connection, tally, ids)
    for table in (instance_findings, former_uids, moved_instances):
        remove(connection, tally, table, table.c.instance, ids)
    pixel_files.delete_of(connection, tally, ids)
    remove(connection, tally, instances, instances.c.id, ids)


def _delete_named(connection: Connection, tally: Counter[str], uids: Sequence[str]) -> None:
    """What is found by the Study Instance UID."""
    if not uids:
        return
    served = list(
        connection.execute(select(imaging_studies.c.id).where(imaging_studies.c.study_uid.in_(uids))).scalars()
    )
    remove(connection, tally, imaging_study_tokens, imaging_study_tokens.c.imaging_study, served)
    remove(connection, tally, imaging_studies, imaging_studies.c.id, served)
    for table in (
        exclusions, availability_notifications, asked_commitments, study_evidence, study_requests, study_links,
        order_conflicts,
    ):  # fmt: skip
        remove(connection, tally, table, table.c.study_uid, uids)
    work.delete_of(connection, tally, set(uids) - of_orders(connection, uids))


STUDIES = Rule(RetentionKind.STUDIES, studies, studies.c.first_at, _judge, _delete, _hold, weigh)
