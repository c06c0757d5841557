"""Scheduled steps that a performed step may be about, or is linked to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, select

from gateway.records.patient import Identity
from gateway.records.performed_matching import Candidate
from gateway.records.row_ids import OrderRow, PerformedStepRow
from gateway.store.foreseen import Found, Read, Subject
from gateway.store.schema import orders, patients, performed_step_links, procedures, steps
from gateway.store.statement import Statement

_LINKS: Final = performed_step_links
_CANDIDATES: Final = (
    select(
        orders.c.id, procedures.c.study_uid, procedures.c.requested_procedure_id, steps.c.step_id,
        patients.c.patient_id, patients.c.issuer, patients.c.former,
    )
    .select_from(orders)
    .join(procedures, procedures.c.order == orders.c.id)
    .join(steps, steps.c.procedure == procedures.c.id)
    .join(patients, patients.c.id == orders.c.patient)
    .order_by(orders.c.id, steps.c.id)
)  # fmt: skip
_OF_LINKS: Final = Statement(
    select(
        _LINKS.c.order.label("id"), _LINKS.c.study_uid, procedures.c.requested_procedure_id, _LINKS.c.step_id,
        patients.c.patient_id, patients.c.issuer, patients.c.former,
    )
    .select_from(_LINKS)
    .join(orders, orders.c.id == _LINKS.c.order)
    .join(patients, patients.c.id == orders.c.patient)
    # A change of the order may have taken the procedure away meanwhile.
    .outerjoin(procedures, and_(procedures.c.order == orders.c.id, procedures.c.study_uid == _LINKS.c.study_uid))
    .where(_LINKS.c.performed_step == bindparam("number"))
    .order_by(_LINKS.c.id),
    about=lambda values, _rows: (("links of", values["number"]),),
)  # fmt: skip


def _numbered(values: Mapping[str, Any], rows: Found) -> Iterator[Subject]:
    """Whom candidates are about: changes that keep what is read of an order leave them (`order_book.save`)."""
    return (("numbers of order", row[0]) for row in rows)


_OF_STUDY: Final = Statement(_CANDIDATES.where(procedures.c.study_uid == bindparam("number")), about=_numbered)
_OF_ORDER_ROW: Final = Statement(_CANDIDATES.where(orders.c.id == bindparam("number")))
_OF_ACCESSION: Final = Statement(_CANDIDATES.where(orders.c.accession == bindparam("number")), about=_numbered)


def of_study(connection: Connection, study_uid: str) -> list[Candidate]:
    """The scheduled steps of a Study Instance UID."""
    return _candidates(connection, _OF_STUDY, study_uid)


def of_accession_number(connection: Connection, accession_number: str) -> list[Candidate]:
    """The scheduled steps of the orders with an accession number, whoever gave it."""
    return _candidates(connection, _OF_ACCESSION, accession_number)


def of_order(connection: Connection, order: OrderRow) -> list[Candidate]:
    """The scheduled steps of an order."""
    return _candidates(connection, _OF_ORDER_ROW, order)


def links_of(connection: Connection, row: PerformedStepRow) -> list[Candidate]:
    """The scheduled steps that a performed step carries out, those included that its orders no longer have."""
    return _candidates(connection, _OF_LINKS, row)


def read_of_study(study_uid: str) -> Read:
    """What `of_study` reads."""
    return _OF_STUDY, {"number": study_uid}


def read_of_accession_number(accession_number: str) -> Read:
    """What `of_accession_number` reads."""
    return _OF_ACCESSION, {"number": accession_number}


def known_orders_of_study(connection: Connection, study_uid: str) -> set[OrderRow]:
    """The orders with scheduled steps of a Study Instance UID, of what was read beforehand."""
    return {row["id"] for row in _OF_STUDY.known(connection, {"number": study_uid}) or ()}


def read_of_links(row: PerformedStepRow) -> Read:
    """What `links_of` reads."""
    return _OF_LINKS, {"number": row}


def _candidates(connection: Connection, statement: Statement, number: str | int) -> list[Candidate]:
    return [
        Candidate(
            row["id"], row["study_uid"], row["requested_procedure_id"] or "", row["step_id"],
            Identity(row["patient_id"], row["issuer"]), tuple(Identity(*one) for one in row["former"]),
        )
        for row in statement.rows(connection, {"number": number})
    ]  # fmt: skip
