"""Scheduled steps that an unlinked performed step may carry out, and the studies of its images."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection, select, union

from gateway.records.row_ids import OrderRow
from gateway.store.schema import orders, procedures, series, studies
from gateway.store.worklist import ITEMS, PATIENT_ID, PATIENTS_NAMED

MOST: Final = 200
_ROWS: Final = ITEMS.add_columns(orders.c.id.label("order_row")).order_by(None).order_by(orders.c.id.desc()).limit(MOST)


def that_may_be_meant(
    connection: Connection, *, patient_id: str, study_uids: Collection[str], accession_numbers: Collection[str]
) -> list[dict[str, Any]]:
    """The scheduled steps of a patient, of these studies and of these accession numbers; of the newest orders first."""
    # Each kind by its own index: no database finds rows of three tables by one condition with OR in it.
    with_orders = select(procedures.c.id).join(orders, orders.c.id == procedures.c.order)
    named = [
        select(procedures.c.id).where(procedures.c.study_uid.in_(study_uids)),
        with_orders.where(orders.c.accession.in_(accession_numbers)),
    ]
    if patient_id:
        named.append(with_orders.where(orders.c.patient.in_(PATIENTS_NAMED)))
    wanted = _ROWS.where(procedures.c.id.in_(union(*named)))
    return [dict(row) for row in connection.execute(wanted, {PATIENT_ID: patient_id}).mappings()]


def of_orders(connection: Connection, rows: Collection[OrderRow]) -> list[dict[str, Any]]:
    """The scheduled steps of orders, as `that_may_be_meant` gives them."""
    return [dict(row) for row in connection.execute(_ROWS.where(orders.c.id.in_(rows))).mappings()]


def imaged(
    connection: Connection, *, study_uids: Collection[str], series_uids: Collection[str]
) -> list[tuple[str, str]]:
    """(Study Instance UID, accession number) of the studies of which images have arrived."""
    of_series = select(series.c.study).where(series.c.series_uid.in_(series_uids))
    named = union(select(studies.c.id).where(studies.c.study_uid.in_(study_uids)), of_series)
    wanted = select(studies.c.study_uid, studies.c.accession).where(studies.c.id.in_(named))
    return [(uid, number) for uid, number in connection.execute(wanted)]
