"""Orders with all that became of them, page by page, for those who export them. Each page is one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, func, literal_column, select

from gateway.records.work import Activity, WorkState
from gateway.store.chunks import chunks
from gateway.store.schema import (
    orders,
    outbox,
    patients,
    performed_step_links,
    performed_steps,
    procedures,
    queries,
    query_matches,
    steps,
    studies,
)

Rows = Sequence[Any]
_PATIENT: Final = (
    patients.c.id.label("patient_row"), patients.c.patient_id, patients.c.issuer, patients.c.merged_into,
    patients.c.attributes.label("patient_attributes"),
)  # fmt: skip
_IDS: Final[BindParameter[Any]] = bindparam("ids", expanding=True)
_OF_PAGE: Final = procedures.c.order.in_(_IDS)


class OrderPage(NamedTuple):
    """Orders of some ids, and what belongs to them; each row names its order in `order`."""

    orders: Rows
    procedures: Rows
    steps: Rows
    shown: dict[int, int]
    """Row of a step -> when a scanner was first answered with it."""
    performed: Rows
    studies: Rows
    """With the UID of an ordered procedure, or with accession number and Patient ID of the order."""
    in_ehr: dict[str, int]
    """Study Instance UID -> when the first EHR took it."""


_ORDERS: Final = (
    select(
        orders.c.id.label("order"), orders.c.authority, orders.c.accession, orders.c.sender, orders.c.placer,
        orders.c.filler, orders.c.created_at, orders.c.updated_at, *_PATIENT,
    )
    .outerjoin(patients, patients.c.id == orders.c.patient)
    .where(orders.c.id.in_(_IDS))
    .order_by(orders.c.id)
)  # fmt: skip
_PROCEDURES: Final = select(
    procedures.c.id, procedures.c.order, procedures.c.study_uid, procedures.c.attributes
).where(_OF_PAGE).order_by(procedures.c.id)  # fmt: skip
_STEPS: Final = (
    select(
        steps.c.id, steps.c.procedure, steps.c.step_id, steps.c.state, steps.c.modality, steps.c.station_ae,
        steps.c.start_date, steps.c.start_time, steps.c.updated_at,
    )
    .join(procedures, procedures.c.id == steps.c.procedure)
    .where(_OF_PAGE)
    .order_by(steps.c.id)
)  # fmt: skip
_SHOWN: Final = (
    select(steps.c.id, func.min(queries.c.asked_at))
    .join(procedures, procedures.c.id == steps.c.procedure)
    .join(query_matches, query_matches.c.step == steps.c.id)
    .join(queries, queries.c.id == query_matches.c.query)
    .where(_OF_PAGE)
    .group_by(steps.c.id)
)
_LINK: Final = performed_step_links
_PERFORMED: Final = (
    select(
        _LINK.c.order, _LINK.c.study_uid, performed_steps.c.begun_at, performed_steps.c.ended_at,
        performed_steps.c.calling_ae,
    )
    .join(performed_steps, performed_steps.c.id == _LINK.c.performed_step)
    .where(_LINK.c.order.in_(_IDS))
    .order_by(performed_steps.c.begun_at)
)  # fmt: skip
_STUDY: Final = (
    studies.c.study_uid, studies.c.source_ae, studies.c.first_at, studies.c.settled_at,
)  # fmt: skip
_BY_UID: Final = (
    select(procedures.c.order, *_STUDY)
    .join(procedures, procedures.c.study_uid == studies.c.study_uid)
    .where(_OF_PAGE)
    .order_by(studies.c.id)
)
_BY_ACCESSION: Final = (
    select(orders.c.id.label("order"), *_STUDY)
    .join(orders, orders.c.accession == studies.c.accession)
    .join(patients, patients.c.id == orders.c.patient)
    .where(orders.c.id.in_(_IDS), orders.c.accession != "")
    .where(studies.c.patient_id == patients.c.patient_id)
    .order_by(studies.c.id)
)


def page(connection: Connection, *, ids: Sequence[int]) -> OrderPage:
    """The orders with these ids."""
    values = {"ids": ids}

    def rows(wanted: Any) -> Rows:
        return connection.execute(wanted, values).all()

    arrived = {(row.order, row.study_uid): row for wanted in (_BY_UID, _BY_ACCESSION) for row in rows(wanted)}
    return OrderPage(
        rows(_ORDERS), rows(_PROCEDURES), rows(_STEPS), {row[0]: row[1] for row in rows(_SHOWN)}, rows(_PERFORMED),
        list(arrived.values()), in_ehr(connection, {uid for _, uid in arrived}),
    )  # fmt: skip


IS_STUDY_TAKEN: Final = (
    # As an expression: SQLite, which counts no rows, would go through all that is done to find a few subjects.
    outbox.c.state + literal_column("''") == literal_column(f"'{WorkState.DONE}'"),
    outbox.c.kind.like(literal_column(f"'{Activity.DELIVER}:%'")),
    # A lane of another part of the work, such as that of the order, has its name between the two.
    outbox.c.lane == outbox.c.kind + literal_column("'|'") + outbox.c.subject,
)
"""Of a delivery of a study that an EHR has taken."""
_IN_EHR: Final = (
    select(outbox.c.subject, func.min(outbox.c.finished_at))
    .where(outbox.c.subject.in_(bindparam("uids", expanding=True)), *IS_STUDY_TAKEN)
    .group_by(outbox.c.subject)
)


def in_ehr(connection: Connection, study_uids: Iterable[str]) -> dict[str, int]:
    """Study Instance UID -> when the first EHR took the study; without those that none has."""
    wanted = sorted(study_uids)
    taken: dict[str, int] = {}
    for some in chunks(wanted):
        rows = connection.execute(_IN_EHR, {"uids": some})
        taken |= {uid: at for uid, at in rows if at is not None}
    return taken


_NAMED: Final = select(*_PATIENT).where(patients.c.patient_id.in_(bindparam("ids", expanding=True)))
_BY_ROW: Final = select(*_PATIENT).where(patients.c.id.in_(bindparam("ids", expanding=True)))


def patients_named(connection: Connection, patient_ids: Iterable[str]) -> Rows:
    """The patients who have one of these Patient IDs, of any issuer."""
    return _all(connection, _NAMED, sorted(set(patient_ids)))


def patients_of(connection: Connection, rows: Iterable[int]) -> Rows:
    """The patients of these rows."""
    return _all(connection, _BY_ROW, sorted(set(rows)))


def _all(connection: Connection, wanted: Any, ids: Sequence[Any]) -> list[Any]:
    return [row for some in chunks(ids) for row in connection.execute(wanted, {"ids": some})]
