"""Scheduled steps that an unlinked performed step may carry out, and the studies of its images."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, or_, select

from gateway.records.row_ids import OrderRow
from gateway.store.schema import orders, patients, procedures, series, studies
from gateway.store.worklist import ITEMS, patients_named

MOST: Final = 200
_ROWS: Final = ITEMS.add_columns(orders.c.id.label("order_row")).order_by(None).order_by(orders.c.id.desc()).limit(MOST)


def that_may_be_meant(
    connection: Connection, *, patient_id: str, study_uids: Collection[str], accession_numbers: Collection[str]
) -> list[dict[str, Any]]:
    """The scheduled steps of a patient, of these studies and of these accession numbers; of the newest orders first."""
    named: list[ColumnElement[bool]] = [
        procedures.c.study_uid.in_(study_uids),
        orders.c.accession.in_(accession_numbers),
    ]
    if patient_id:
        named.append(patients.c.id.in_(patients_named(patient_id)))
    return [dict(row) for row in connection.execute(_ROWS.where(or_(*named))).mappings()]


def of_orders(connection: Connection, rows: Collection[OrderRow]) -> list[dict[str, Any]]:
    """The scheduled steps of orders, as `that_may_be_meant` gives them."""
    return [dict(row) for row in connection.execute(_ROWS.where(orders.c.id.in_(rows))).mappings()]


def imaged(
    connection: Connection, *, study_uids: Collection[str], series_uids: Collection[str]
) -> list[tuple[str, str]]:
    """(Study Instance UID, accession number) of the studies of which images have arrived."""
    of_series = select(series.c.study).where(series.c.series_uid.in_(series_uids))
    wanted = select(studies.c.study_uid, studies.c.accession).where(
        or_(studies.c.study_uid.in_(study_uids), studies.c.id.in_(of_series))
    )
    return [(uid, number) for uid, number in connection.execute(wanted)]
