"""By what the rows of a patient are known: identities, numbers and UIDs, from the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, or_, select

from gateway.records.erasure import SHORTEST, Targets
from gateway.records.patient import Identity
from gateway.store.retention import orders as of_orders
from gateway.store.retention import performed_steps as of_performed_steps
from gateway.store.schema import EMPTY, orders, patients, performed_step_links, performed_steps, studies
from gateway.worklist.names import name_key


def identities_of(connection: Connection, identity: Identity) -> list[Any]:
    """All rows of `patients` that are this patient: the number, what was merged into it, and into what it was."""
    wanted = select(patients).where(patients.c.patient_id == identity.patient_id)
    if identity.issuer:
        wanted = wanted.where(patients.c.issuer == identity.issuer)
    rows = {row.id: row for row in connection.execute(wanted)}
    grown = True
    while grown:
        survivors = [row.merged_into for row in rows.values() if row.merged_into is not None]
        kin = select(patients).where(or_(patients.c.merged_into.in_(list(rows)), patients.c.id.in_(survivors)))
        more = {row.id: row for row in connection.execute(kin)}
        grown = not more.keys() <= rows.keys()
        rows |= more
    return list(rows.values())


def targets_of(connection: Connection, identity: Identity) -> Targets:
    """By what the rows of a patient are known. Empty where nothing here names the patient."""
    rows = identities_of(connection, identity)
    ids = [row.id for row in rows]
    identities = [Identity(row.patient_id, row.issuer) for row in rows]
    identities += [Identity(*one) for row in rows for one in row.former]
    every = tuple(dict.fromkeys([identity, *identities] if identity.issuer or not rows else identities))
    numbers = [one.patient_id for one in every]
    others = _of_others(connection, numbers, ids)
    targets = Targets(
        patients=tuple(ids), identities=every, is_alone=not others,
        names=_names(row.attributes for row in rows),
    )  # fmt: skip
    return _numbered(connection, targets)


def _of_others(connection: Connection, patient_ids: Sequence[str], rows: Sequence[int]) -> set[Identity]:
    """Who has one of these numbers, but for the patients of `rows`."""
    wanted = select(patients.c.patient_id, patients.c.issuer).where(
        patients.c.patient_id.in_(patient_ids), patients.c.id.not_in(rows)
    )
    return {Identity(*row) for row in connection.execute(wanted)}


def refreshed(connection: Connection, targets: Targets) -> Targets:
    """The targets of an erasure that goes on: with the numbers of what came since, and without rows that are another's
    by now. SQLite gives the id of its newest row anew once that row is gone."""
    columns = (patients.c.id, patients.c.patient_id, patients.c.issuer, patients.c.former)
    rows = connection.execute(select(*columns).where(patients.c.id.in_(targets.patients))).all()
    ours = [
        row.id
        for row in rows
        if {Identity(row.patient_id, row.issuer), *(Identity(*one) for one in row.former)} & {*targets.identities}
    ]
    grown = _numbered(connection, replace(targets, patients=tuple(ours)))
    others = _of_others(connection, targets.patient_ids, ours)
    return replace(
        grown, is_alone=targets.is_alone and others <= {*targets.identities},
        names=_each((*targets.names, *grown.names)), numbers=_each((*targets.numbers, *grown.numbers)),
        accession_numbers=_each((*targets.accession_numbers, *grown.accession_numbers)),
        uids=_each((*targets.uids, *grown.uids)),
    )  # fmt: skip


def _names(every: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(one["PatientName"]) for one in every if one.get("PatientName")))


def _numbered(connection: Connection, targets: Targets) -> Targets:
    of_order = select(orders).where(orders.c.patient.in_(targets.patients))
    rows = connection.execute(of_order).all()
    uids = [uid for some in of_orders.study_uids(connection, [row.id for row in rows]).values() for uid in some]
    named = connection.execute(select(studies).where(studies.c.id.in_(studies_of(connection, targets, uids)))).all()
    performed = connection.execute(
        select(performed_steps).where(performed_steps.c.id.in_(performed_steps_of(connection, targets)))
    ).all()
    accession_numbers = [row.accession for row in (*rows, *named, *performed)]
    numbers = [*accession_numbers, *(number for row in rows for number in (row.placer, row.filler))]
    uids += [row.study_uid for row in (*rows, *named)]
    for row in performed:
        uids += of_performed_steps.subjects_of(row.sop_uid, row.attributes)
    names = (*targets.names, *_names(row.attributes for row in (*named, *performed)))
    return replace(
        targets, names=tuple(one for one in dict.fromkeys(names) if _is_rare(connection, one, targets)),
        numbers=_each(numbers), accession_numbers=_each(accession_numbers), uids=_each(uids),
    )  # fmt: skip


def _is_rare(connection: Connection, name: str, targets: Targets) -> bool:
    """Whether no other patient has the name: then it must be nowhere any more."""
    key = name_key(name)
    same = select(patients.c.id).where(patients.c.name_key == key, patients.c.id.not_in(targets.patients)).limit(1)
    return len(name) > SHORTEST and connection.execute(same).first() is None


def _each(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for one in values if one))


def _is_patient(targets: Targets, patient_id: str, issuer: str) -> bool:
    """An issuer that a header leaves out is any, unless another patient has the number."""
    return any(
        one.patient_id == patient_id and (one.issuer == issuer or ("" in (one.issuer, issuer) and targets.is_alone))
        for one in targets.identities
    )


def studies_of(connection: Connection, targets: Targets, uids: Sequence[str]) -> list[int]:
    """Studies whose headers name the patient, and those of the patient's orders unless they name another."""
    wanted = select(studies.c.id, studies.c.patient_id, studies.c.patient_issuer).where(
        or_(studies.c.patient_id.in_(targets.patient_ids), studies.c.study_uid.in_([*uids, *targets.uids]))
    )
    return [
        row.id
        for row in connection.execute(wanted)
        if not row.patient_id or _is_patient(targets, row.patient_id, row.patient_issuer)
    ]


def performed_steps_of(connection: Connection, targets: Targets) -> list[int]:
    """Performed steps of the patient's orders, and those whose modality names the patient."""
    links, steps = performed_step_links, performed_steps
    linked = (
        select(links.c.performed_step)
        .join(orders, orders.c.id == links.c.order)
        .where(orders.c.patient.in_(targets.patients))
    )
    named = select(steps.c.id, steps.c.attributes).where(
        steps.c.patient_id != EMPTY, steps.c.patient_id.in_(targets.patient_ids)
    )
    found = set(connection.execute(linked).scalars())
    for row in connection.execute(named):
        stated = of_performed_steps.identity_in(row.attributes)
        if _is_patient(targets, stated.patient_id, stated.issuer):
            found.add(row.id)
    return sorted(found)
