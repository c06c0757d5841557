"""The orders to which a study leads: by its numbers, by those of its series, by performed steps, and by persons."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, bindparam, literal, select, union_all

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order import Attributes
from gateway.records.order_check import Side, TiedBy, TiedOrder, is_of_patient
from gateway.records.order_matching import may_be_same
from gateway.records.ordered_side import ordered_sides
from gateway.records.patient import Identity
from gateway.records.performed_step import items_of
from gateway.records.row_ids import OrderRow
from gateway.store import moved_instances, study_links
from gateway.store import patients as patients_store
from gateway.store.schema import (
    orders,
    patients,
    performed_step_links,
    performed_steps,
    procedures,
    series,
    steps,
)

MOST_REQUESTED: Final = 500
"""Accession numbers and performed steps of one study that are looked up, so many of each."""
PERFORMED_STEPS: Final = "ReferencedPerformedProcedureStepSequence"


@dataclass(frozen=True, slots=True)
class Clues:
    """By what a study leads to orders."""

    study_uid: StudyInstanceUID
    accession: str = ""
    authority: str = ""
    """Who gave the accession number; empty: the headers do not state it."""
    requested: Mapping[str, str] | None = None
    """Accession numbers in the request sequences of series and instances -> who gave each."""
    performed_steps: Collection[str] = ()
    """SOP Instance UIDs of the performed steps that series refer to."""
    former: Mapping[str, bool] = field(default_factory=dict)
    """As `moved_instances.former_studies`: what persons decided of a study holds of that which took over instances of
    the study."""

    @property
    def numbers(self) -> dict[str, str]:
        """Each accession number -> who gave it."""
        every = {**(self.requested or {}), self.accession: self.authority}
        return {number: authority for number, authority in every.items() if number}


@dataclass(frozen=True, slots=True)
class Tied:
    """An order of a study, with its row and that of its patient."""

    order: TiedOrder
    row: RowMapping


def clues_of(
    row: RowMapping, all_series: Iterable[Attributes], referenced: Iterable[Attributes], former: Mapping[str, bool]
) -> Clues:
    """`row`: of the study; `all_series`: attributes of each; `referenced`: items of request sequences; `former`: as in
    `Clues`."""
    requested: dict[str, str] = {}
    for item in referenced:
        requested.setdefault(str(item.get("AccessionNumber") or ""), authority_of(item))
    steps_of_series = [item for one in all_series for item in items_of(one.get(PERFORMED_STEPS))]
    performed = {str(item.get("ReferencedSOPInstanceUID") or "") for item in steps_of_series} - {""}
    return Clues(row["study_uid"], row["accession"], authority_of(row["attributes"]), requested, performed, former)


def authority_of(item: Attributes) -> str:
    """Who gives the accession number of an item or of a study, '' if no issuer is stored."""
    issuers = item.get("IssuerOfAccessionNumberSequence") or [{}]
    return str(issuers[0].get("LocalNamespaceEntityID") or "")


def tied(connection: Connection, clues: Clues) -> list[Tied]:
    """All orders to which something of the study leads, whoever their patients are, but for those that a person took
    away; each once, by the strongest of what leads to it."""
    by_hand = {
        one.order: one.is_linked
        for study_uid in (*(uid for uid, is_taken in clues.former.items() if is_taken), clues.study_uid)
        for one in study_links.of_study(connection, StudyInstanceUID(study_uid))
    }
    ways: dict[OrderRow, TiedBy] = {row: TiedBy.HAND for row, is_linked in by_hand.items() if is_linked}
    given = _given(clues)
    for order, name, authority, accession in connection.execute(_ways(tuple(given)), given):
        way = TiedBy[name]
        stated = clues.numbers.get(accession, "")
        if by_hand.get(order) is False or (way in _NUMBERED and not may_be_same(stated, authority)):
            continue
        ways.setdefault(order, way)
    if not ways:
        return []
    rows = connection.execute(_ORDERS, {"rows": list(ways)}).mappings().all()
    by_order: dict[OrderRow, list[RowMapping]] = {}
    for row in rows:
        by_order.setdefault(OrderRow(row["id"]), []).append(row)
    return [Tied(TiedOrder(one, ways[one], _side(of_order)), of_order[0]) for one, of_order in by_order.items()]


_NUMBERED: Final = (TiedBy.ACCESSION, TiedBy.REQUEST)


def _given(clues: Clues) -> dict[str, Sequence[str]]:
    """What leads to orders, by its name -> the UIDs or numbers that do, the strongest first."""
    requested = sorted(clues.numbers.keys() - {clues.accession})[:MOST_REQUESTED]
    given: dict[TiedBy, Sequence[str]] = {
        TiedBy.STUDY: [clues.study_uid],
        TiedBy.FORMER: sorted(clues.former),
        TiedBy.PERFORMED_STEP: sorted(clues.performed_steps)[:MOST_REQUESTED],
        TiedBy.REQUEST: requested,
        TiedBy.ACCESSION: [clues.accession],
    }
    return {way.name: these for way, these in given.items() if any(these)}


_found: Final = (orders.c.authority, orders.c.accession)
_BY_PROCEDURE: Final = select(orders.c.id, *_found).join(procedures, procedures.c.order == orders.c.id)
_BY_PERFORMED_STEP: Final = (
    select(orders.c.id, *_found)
    .join(performed_step_links, performed_step_links.c.order == orders.c.id)
    .join(performed_steps, performed_steps.c.id == performed_step_links.c.performed_step)
)
_LED_BY: Final[Mapping[TiedBy, tuple[Select[Any], ColumnElement[str]]]] = {
    TiedBy.STUDY: (_BY_PROCEDURE, procedures.c.study_uid),
    TiedBy.FORMER: (_BY_PROCEDURE, procedures.c.study_uid),
    TiedBy.PERFORMED_STEP: (_BY_PERFORMED_STEP, performed_steps.c.sop_uid),
    TiedBy.REQUEST: (select(orders.c.id, *_found), orders.c.accession),
    TiedBy.ACCESSION: (select(orders.c.id, *_found), orders.c.accession),
}


@cache
def _ways(names: tuple[str, ...]) -> Select[Any]:
    """(order, what leads to it, who gave its accession number, that number), in this order; each is given its UIDs or
    numbers under its name. Written once: to write it takes longer than to run it."""
    found = union_all(
        *(
            wanted.add_columns(literal(name).label("way")).where(
                column.in_(bindparam(name, expanding=True)), orders.c.patient.is_not(None)
            )
            for name in names
            for wanted, column in [_LED_BY[TiedBy[name]]]
        )
    ).subquery()
    return select(found.c.id, found.c.way, found.c.authority, found.c.accession)


_ORDERS: Final = (
    select(
        orders, patients.c.patient_id, patients.c.issuer, patients.c.former,
        patients.c.attributes.label("patient_attributes"), procedures.c.study_uid.label("procedure_uid"),
        procedures.c.attributes.label("procedure"), steps.c.attributes.label("step"), steps.c.modality,
    )
    .join(patients, patients.c.id == orders.c.patient)
    .join(procedures, procedures.c.order == orders.c.id)
    .outerjoin(steps, steps.c.procedure == procedures.c.id)
    .where(orders.c.id.in_(bindparam("rows", expanding=True)))
    .order_by(orders.c.id, procedures.c.id, steps.c.id)
)  # fmt: skip


def _side(rows: Sequence[RowMapping]) -> Side:
    row = rows[0]
    patient: Attributes = row["patient_attributes"]
    every = [row["attributes"], *(one["procedure"] for one in rows), *(one["step"] or {} for one in rows)]
    return Side(
        patient=Identity(row["patient_id"], row["issuer"]),
        former=tuple(Identity(*one) for one in row["former"]),
        name=str(patient.get("PatientName") or ""),
        birth_date=str(patient.get("PatientBirthDate") or ""),
        sex=str(patient.get("PatientSex") or ""),
        sides=ordered_sides(text for attributes in every for text in _texts(attributes)),
        modalities=frozenset(str(one["modality"]) for one in rows if one["modality"]),
    )


_DESCRIBED: Final = ("RequestedProcedureDescription", "ScheduledProcedureStepDescription")
_CODED: Final = ("RequestedProcedureCodeSequence", "ScheduledProtocolCodeSequence")


def _texts(attributes: Attributes) -> Iterable[str]:
    yield from (str(attributes.get(keyword) or "") for keyword in _DESCRIBED)
    for keyword in _CODED:
        for item in items_of(attributes.get(keyword)):
            yield str(item.get("CodeMeaning") or "")


def sure(images: Side, found: Sequence[Tied]) -> list[Tied]:
    """Of the orders of a study those that may be meant: where an order of the study's patient is among them, others
    that have no more than the same accession number are those of another site. By a former Study Instance UID no order
    of another patient is meant: a data set may state any."""
    found = [one for one in found if one.order.tied_by is not TiedBy.FORMER or is_of_patient(images, one.order)]
    if not any(is_of_patient(images, one.order) for one in found):
        return list(found)
    return [one for one in found if is_of_patient(images, one.order) or one.order.tied_by not in _NUMBERED]


def patient_of(found: Sequence[Tied]) -> RowMapping | None:
    """The row of an order whose patient is that of all; None for none or several."""
    patients_of = {one.row["patient"] for one in found}
    return found[0].row if len(patients_of) == 1 else None


def patient_meant(found: Sequence[Tied]) -> RowMapping | None:
    """The row of an order whose patient those images have that name none: as a person linked the two, else that of all
    orders; None for none or several."""
    by_hand = [one for one in found if one.order.tied_by is TiedBy.HAND]
    return patient_of(by_hand or found)


def of_row(connection: Connection, row: RowMapping) -> list[RowMapping]:
    """The rows of the orders that a study answers; `row`: of the study."""
    wanted = select(series.c.attributes).where(series.c.study == row["id"]).order_by(series.c.id)
    every: Sequence[Attributes] = connection.execute(wanted).scalars().all()
    referenced = [item for one in every for item in items_of(one.get("RequestAttributesSequence"))]
    former = moved_instances.former_studies(connection, row["study_uid"])
    found = tied(connection, clues_of(row, every, referenced, former))
    patient = Identity(row["patient_id"], row["patient_issuer"])
    today = patients_store.merged_into(connection, patient) if patient.patient_id else patient_meant(found)
    images = Side(patient=Identity(today["patient_id"], today["issuer"]) if today is not None else patient)
    return [one.row for one in found if is_of_patient(images, one.order)]
