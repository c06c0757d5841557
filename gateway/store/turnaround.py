"""Examinations of some days with the moments by which a hospital measures itself: ordered, begun, in the EHR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, exists, func, null, select

from gateway.store import recent
from gateway.store.chunks import chunks
from gateway.store.export_orders import IS_STUDY_TAKEN, in_ehr
from gateway.store.schema import (
    moved_instances,
    orders,
    outbox,
    patients,
    performed_step_links,
    performed_steps,
    procedures,
    series,
    steps,
    studies,
)
from gateway.store.statement import Statement

MOST: Final = 2_000
"""Examinations that are looked at, the newest."""
_LINK: Final = performed_step_links


class Examination(NamedTuple):
    """Moments are microseconds; None: not known, or not yet."""

    at: int
    """When the first performed step began; without one, when the first instance came."""
    modality: str
    station: str
    """AE title of who performed it, or sent it."""
    ordered_at: int | None
    in_ehr: int | None


class _Begun(NamedTuple):
    at: int
    station: str
    ordered_at: int | None
    modality: str
    in_ehr: int | None = None


_TAKEN: Final = (
    select(func.min(outbox.c.finished_at))
    .where(outbox.c.subject == _LINK.c.study_uid, *IS_STUDY_TAKEN)
    .scalar_subquery()
    .label("in_ehr")
)
_PERFORMED: Final = Statement(
    select(
        _LINK.c.study_uid, performed_steps.c.begun_at, performed_steps.c.calling_ae, orders.c.created_at,
        steps.c.modality, _TAKEN,
    )
    .join(_LINK, _LINK.c.performed_step == performed_steps.c.id)
    .join(orders, orders.c.id == _LINK.c.order)
    .outerjoin(procedures, procedures.c.study_uid == _LINK.c.study_uid)
    .outerjoin(steps, (steps.c.procedure == procedures.c.id) & (steps.c.step_id == _LINK.c.step_id))
    # By the key of the links, whose order is that of the answer: no other lets a database stop at the last one.
    .where(_LINK.c.performed_step >= bindparam("first"), _LINK.c.performed_step < bindparam("end"))
    .order_by(_LINK.c.performed_step.desc())
    .limit(bindparam("most"))
)  # fmt: skip
_ARRIVED: Final = Statement(
    select(studies.c.id, studies.c.study_uid, studies.c.first_at, studies.c.source_ae)
    .where(
        studies.c.id >= bindparam("first"),
        studies.c.id < bindparam("end"),
        # What took over instances is the examination of the former study.
        ~exists().where(moved_instances.c.to_study_uid == studies.c.study_uid),
    )
    .order_by(studies.c.id.desc())
    .limit(bindparam("most"))
)
_MODALITY_OF: Final = (
    select(func.min(steps.c.modality)).where(steps.c.procedure == procedures.c.id).scalar_subquery().label("modality")
)
_PERFORMED_UID: Final = (
    select(func.min(_LINK.c.study_uid)).where(_LINK.c.order == orders.c.id).scalar_subquery().label("performed_uid")
)
_ORDERED: Final = (
    select(studies.c.id, orders.c.created_at, _MODALITY_OF, _PERFORMED_UID)
    .join(procedures, procedures.c.study_uid == studies.c.study_uid)
    .join(orders, orders.c.id == procedures.c.order)
    .where(studies.c.id.in_(bindparam("rows", expanding=True)))
)


def examinations(connection: Connection, begin: int, end: int, *, most: int = MOST) -> tuple[list[Examination], bool]:
    """Those that were performed, or whose study came, from `begin` until before `end`, the newest first; and whether
    there were more than `most`, of which the newest are taken."""
    begun, more = _begun(connection, _span(connection, "performed_steps", begin, end), most)
    arrived = _rows(connection, _ARRIVED, _span(connection, "studies", begin, end), most)
    _add_studies(connection, begun, [row for row in arrived if row["study_uid"] not in begun])
    all_of_them = sorted(
        (Examination(one.at, one.modality, one.station, one.ordered_at, one.in_ehr) for one in begun.values()),
        key=_BY_MOMENT,
        reverse=True,
    )
    return all_of_them[:most], more or len(arrived) == most or len(all_of_them) > most


_BY_MOMENT: Final = attrgetter("at")


def _span(connection: Connection, table: str, begin: int, end: int) -> tuple[int, int]:
    first = recent.first_since(connection, table, begin)
    return first, recent.first_since(connection, table, end, low=first)


def _rows(connection: Connection, wanted: Statement, span: tuple[int, int], most: int) -> list[Any]:
    return wanted.rows(connection, {"first": span[0], "end": span[1], "most": most})


def _begun(connection: Connection, span: tuple[int, int], most: int) -> tuple[dict[str, _Begun], bool]:
    """Study Instance UID -> the first of its performed steps."""
    begun: dict[str, _Begun] = {}
    rows = _rows(connection, _PERFORMED, span, most)
    for row in rows:
        one = _Begun(row["begun_at"], row["calling_ae"], row["created_at"], row["modality"] or "", row["in_ehr"])
        before = begun.get(row["study_uid"])
        if before is None or one.at < before.at:
            begun[row["study_uid"]] = one
    return begun, len(rows) == most


def _add_studies(connection: Connection, begun: dict[str, _Begun], rows: list[Any]) -> None:
    """Add studies that came without a performed step; one under a UID that nobody ordered completes the performed step
    of the order with its accession number."""
    ordered = {row.id: row for some in _in_parts(rows) for row in connection.execute(_ORDERED, {"rows": some})}
    others = [row for row in rows if row["id"] not in ordered]
    ordered |= {row.id: row for some in _in_parts(others) for row in connection.execute(_OF_ACCESSION, {"rows": some})}
    modalities = _modalities(connection, others)
    taken = in_ehr(connection, {row["study_uid"] for row in rows})
    for row in rows:
        order, at = ordered.get(row["id"]), taken.get(row["study_uid"])
        performed = order.performed_uid if order is not None else None
        if performed is None:
            modality = modalities.get(row["id"]) or (order.modality if order is not None else "") or ""
            ordered_at = order.created_at if order is not None else None
            begun[row["study_uid"]] = _Begun(row["first_at"], row["source_ae"], ordered_at, modality, at)
        elif performed in begun and begun[performed].in_ehr is None:
            begun[performed] = begun[performed]._replace(in_ehr=at)
        # Else its examination began on another day.


_OF_ACCESSION: Final = (
    select(studies.c.id, orders.c.created_at, null().label("modality"), _PERFORMED_UID)
    .join(orders, orders.c.accession == studies.c.accession)
    .join(patients, patients.c.id == orders.c.patient)
    .where(studies.c.id.in_(bindparam("rows", expanding=True)), studies.c.accession != "")
    .where(patients.c.patient_id == studies.c.patient_id)
    .order_by(orders.c.id.desc())
)
_OF_SERIES: Final = select(series.c.study, series.c.attributes).where(
    series.c.study.in_(bindparam("rows", expanding=True))
)


def _modalities(connection: Connection, rows: list[Any]) -> dict[int, str]:
    """Row of a study -> Modality (0008,0060) of one of its series."""
    modalities: dict[int, str] = {}
    for some in _in_parts(rows):
        for study, attributes in connection.execute(_OF_SERIES, {"rows": some}):
            modalities.setdefault(study, str(attributes.get("Modality") or ""))
    return modalities


def _in_parts(rows: list[Any]) -> Iterator[Sequence[int]]:
    return chunks([row["id"] for row in rows])
