"""Deleting all rows of one patient, some at a time, whatever their age; and finding them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, or_, select, update

from gateway.clock import now
from gateway.records.erasure import Outside, Targets
from gateway.records.work import Activity, Lane, Part
from gateway.store import deleted_studies, image_forwards, settling
from gateway.store.erasing_targets import performed_steps_of, studies_of
from gateway.store.retention import messages as of_messages
from gateway.store.retention import orders as of_orders
from gateway.store.retention import patients as of_patients
from gateway.store.retention import performed_steps as of_performed_steps
from gateway.store.retention import studies as of_studies
from gateway.store.retention import work
from gateway.store.retention.rule import UNFINISHED, remove
from gateway.store.retention.rule import of_orders as of_orders_kept
from gateway.store.schema import (
    audit_patients,
    availability_notifications,
    ehr_resources,
    legal_holds,
    message_numbers,
    missing_links,
    order_conflicts,
    order_messages,
    orders,
    outbox,
    patients,
    queries,
    query_matches,
    refusals,
    studies,
    study_evidence,
    unknown_codes,
    work_tries,
)

AT_ONCE: Final = 20
"""Rows that are deleted in one unit, with what hangs on them."""


def erase_some(connection: Connection, targets: Targets) -> Counter[str]:
    """Delete the next rows of the patient; empty once nothing is found by its keys. The patient's own row is last."""
    for step in _STEPS:
        if tally := step(connection, targets):
            return tally
    return Counter()


def _erase_studies(connection: Connection, targets: Targets) -> Counter[str]:
    nameless = select(studies.c.id).where(studies.c.study_uid.startswith(of_studies.GOING)).limit(1)
    ids = [*connection.execute(nameless).scalars(), *studies_of(connection, targets, ())][:1]
    return of_studies.delete_studies(connection, ids, remembered_at=None) if ids else Counter()


def _erase_orders(connection: Connection, targets: Targets) -> Counter[str]:
    wanted = select(orders.c.id).where(orders.c.patient.in_(targets.patients)).order_by(orders.c.id).limit(AT_ONCE)
    ids = list(connection.execute(wanted).scalars())
    if not ids:
        return Counter()
    _part_from_images(connection, ids, targets)
    return of_orders.delete(connection, ids)


def _part_from_images(connection: Connection, ids: Sequence[int], targets: Targets) -> None:
    """Of studies of others that state something else than these orders nothing is kept of the difference: they are
    looked at again, without the orders."""
    conflicts = order_conflicts.c
    wanted = select(conflicts.study_uid).where(conflicts.order.in_(ids), conflicts.study_uid.not_in(targets.uids))
    for uid in connection.execute(wanted.distinct()).scalars().all():
        connection.execute(update(studies).where(studies.c.study_uid == uid).values(findings=[]))
        settling.changed(connection, uid, now=now())


def _erase_performed_steps(connection: Connection, targets: Targets) -> Counter[str]:
    return of_performed_steps.delete(connection, performed_steps_of(connection, targets)[:AT_ONCE])


def _erase_messages(connection: Connection, targets: Targets) -> Counter[str]:
    """Messages that were not applied and hold a number of the patient."""
    numbers = [*(targets.patient_ids if targets.is_alone else ()), *targets.numbers]
    wanted = (
        select(message_numbers.c.message)
        .outerjoin(order_messages, order_messages.c.message == message_numbers.c.message)
        .where(
            message_numbers.c.value.in_(numbers), message_numbers.c.kind == "number", order_messages.c.order.is_(None)
        )
    )
    return erase_messages(connection, list(connection.execute(wanted.distinct().limit(AT_ONCE)).scalars()))


def erase_messages(connection: Connection, ids: Sequence[int]) -> Counter[str]:
    """Delete messages of which no order and no patient is kept, and what would pass them on: a later message may get
    the id of one."""
    tally: Counter[str] = Counter()
    passed_on = outbox.c.payload.in_([{"message": one} for one in ids])
    wanted = select(outbox.c.id).where(outbox.c.subject.startswith("listener-"), passed_on)
    works = list(connection.execute(wanted).scalars())
    remove(connection, tally, work_tries, work_tries.c.work, works)
    remove(connection, tally, outbox, outbox.c.id, works)
    return tally + of_messages.delete(connection, ids)


def _erase_work(connection: Connection, targets: Targets) -> Counter[str]:
    tally: Counter[str] = Counter()
    kept = of_orders_kept(connection, targets.uids)
    work.delete_of(connection, tally, set(targets.uids) - kept)
    for table in (availability_notifications, study_evidence):
        remove(connection, tally, table, table.c.study_uid, targets.uids)
    rows = select(ehr_resources.c.id, ehr_resources.c.kind, ehr_resources.c.identifier).where(
        or_(*(ehr_resources.c.identifier.endswith(f"|{one}", autoescape=True) for one in _identifiers(targets)))
    )
    ids = [row.id for row in connection.execute(rows)]
    remove(connection, tally, ehr_resources, ehr_resources.c.id, ids)
    links = select(missing_links.c.id).where(
        or_(*(missing_links.c.identifier.endswith(f"|{one}", autoescape=True) for one in _identifiers(targets)))
    )
    remove(connection, tally, missing_links, missing_links.c.id, list(connection.execute(links).scalars()))
    return tally


def _identifiers(targets: Targets) -> list[str]:
    """Values of FHIR identifiers by which EHRs know resources of the patient."""
    patient_ids = targets.patient_ids if targets.is_alone else ()
    every = (*patient_ids, *targets.numbers, *(f"urn:oid:{uid}" for uid in targets.uids))
    return [one for one in every if one] or ["\0"]


def _erase_traces(connection: Connection, targets: Targets) -> Counter[str]:
    """What is no row of the patient's, and names it all the same."""
    tally: Counter[str] = Counter()
    codes = update(unknown_codes).where(unknown_codes.c.study_uid.in_(targets.uids)).values(study_uid="", message=None)
    tally["unknown_codes"] += connection.execute(codes).rowcount
    for identity in targets.identities:
        held = (
            update(legal_holds)
            .where(legal_holds.c.value == identity.patient_id, legal_holds.c.issuer.in_(("", identity.issuer)))
            .values(value=targets.pseudonym)
        )
        tally["legal_holds"] += connection.execute(held).rowcount
    by_number = update(legal_holds).where(
        legal_holds.c.subject == "accession", legal_holds.c.value.in_(targets.accession_numbers)
    )
    tally["legal_holds"] += connection.execute(by_number.values(value=targets.pseudonym)).rowcount
    tally["deleted_studies"] += deleted_studies.forget(connection, targets.uids)
    return +tally


def _erase_patients(connection: Connection, targets: Targets) -> Counter[str]:
    ids = list(connection.execute(select(patients.c.id).where(patients.c.id.in_(targets.patients))).scalars())
    return of_patients.delete(connection, ids) if ids else Counter()


_STEPS: Final = (
    _erase_studies, _erase_orders, _erase_performed_steps, _erase_messages, _erase_work, _erase_traces,
    _erase_patients,
)  # fmt: skip


def erase_rows(connection: Connection, table: str, ids: Sequence[int]) -> Counter[str]:
    """Delete queries or refusals that name the patient."""
    tally: Counter[str] = Counter()
    if table == queries.name:
        remove(connection, tally, query_matches, query_matches.c.query, ids)
        remove(connection, tally, queries, queries.c.id, ids)
    else:
        remove(connection, tally, refusals, refusals.c.id, ids)
    return tally


def outside(connection: Connection, targets: Targets) -> list[Outside]:
    """What EHRs hold of the patient by what was delivered from here, and how it is withdrawn there."""
    lanes = {Lane.of(text) for text in _lanes(connection, targets)}
    delivered = [lane for lane in lanes if lane.kind.activity is Activity.DELIVER]
    found = []
    for ehr in sorted({lane.kind.target for lane in delivered}):
        for (kind, identifier), lane in sorted(work.ledger_of(connection, ehr, delivered).items(), key=str):
            row = connection.execute(_RESOURCE, {"the_ehr": ehr, "the_kind": kind, "identifier": identifier}).first()
            if row is not None:
                cure = f"gateway withdraw {lane.subject}" if lane.part is Part.STUDY else "ask those who run the EHR"
                found.append(Outside(f"EHR {ehr} holds {kind}/{row.resource_id}", f"{cure}, before the erasure"))
    return found


_RESOURCE: Final = select(ehr_resources.c.resource_id).where(
    ehr_resources.c.ehr == bindparam("the_ehr"), ehr_resources.c.kind == bindparam("the_kind"),
    ehr_resources.c.identifier == bindparam("identifier"),
)  # fmt: skip


def _lanes(connection: Connection, targets: Targets) -> Iterable[str]:
    wanted = select(outbox.c.lane).where(outbox.c.subject.in_(targets.uids)).distinct()
    return connection.execute(wanted).scalars()


def waiting(connection: Connection, targets: Targets) -> int:
    """How much work about the patient is not done, and will not be."""
    subjects = [*targets.uids, *(f"patient-{row}" for row in targets.patients)]
    wanted = select(outbox.c.id).where(outbox.c.subject.in_(subjects), outbox.c.state.in_(UNFINISHED))
    return len(connection.execute(wanted).all()) + image_forwards.waiting(connection, targets.uids)


def audited(connection: Connection, targets: Targets) -> int:
    """How many rows of the audit trail name the patient."""
    wanted = select(audit_patients.c.sequence).where(audit_patients.c.patient_id.in_(targets.patient_ids))
    return len(connection.execute(wanted.distinct()).all())


def holds(connection: Connection, targets: Targets) -> list[str]:
    """Legal holds in force that keep the patient, or an order of the patient."""
    rows = connection.execute(select(legal_holds).where(legal_holds.c.released_at.is_(None))).all()
    return [
        f"{row.subject} {row.value}"
        for row in rows
        if (row.subject == "accession" and row.value in targets.accession_numbers)
        or (
            row.subject == "patient"
            and any(one.patient_id == row.value and row.issuer in ("", one.issuer) for one in targets.identities)
        )
    ]
