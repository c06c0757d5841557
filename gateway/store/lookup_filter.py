"""Orders narrowed down by their steps: a bounded number of steps or orders is looked at, and the rest is not hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, Subquery, func, literal, or_, select

from gateway.records.lookup import NamePrefixes, StepFilter
from gateway.records.row_ids import OrderRow
from gateway.store.lookups import is_named, is_numbered
from gateway.store.schema import orders, patients, procedures, steps

LOOKED_AT: Final = 3_000
"""Steps of which a filter chooses."""
NAMED: Final = 500
"""Patients, orders or messages that a text finds, of which a filter chooses."""


def orders_of_steps(
    connection: Connection, narrow: StepFilter, text: str, names: NamePrefixes, *, limit: int
) -> tuple[list[OrderRow], bool]:
    """Orders with a step of the day, or of the newest steps, that meets the filter and, if given, the text; and whether
    there are more steps than were looked at."""
    newest = select(steps.c.id).order_by(steps.c.id.desc())
    if narrow.day:
        newest = select(steps.c.id).where(steps.c.start_date == narrow.day)
        if narrow.modality:
            newest = newest.where(steps.c.modality == narrow.modality)
    candidates = newest.limit(LOOKED_AT).subquery("candidates")
    wanted = _chosen(narrow, limit).join(candidates, candidates.c.id == steps.c.id)
    if text:
        wanted = wanted.where(or_(is_numbered(text), *is_named(names)))
    return _orders(connection, wanted), _is_full(connection, candidates)


def orders_among(connection: Connection, narrow: StepFilter, rows: Sequence[OrderRow], *, limit: int) -> list[OrderRow]:
    """Which of these orders have a step that meets the filter."""
    return _orders(connection, _chosen(narrow, limit).where(orders.c.id.in_(rows))) if rows else []


def _chosen(narrow: StepFilter, limit: int) -> Select[Any]:
    return (
        select(orders.c.id)
        .join_from(steps, procedures, procedures.c.id == steps.c.procedure)
        .join(orders, orders.c.id == procedures.c.order)
        .outerjoin(patients, patients.c.id == orders.c.patient)
        .where(*_conditions(narrow))
        .group_by(orders.c.id)
        .order_by(orders.c.id.desc())
        .limit(limit)
    )


def _conditions(narrow: StepFilter) -> list[ColumnElement[bool]]:
    given = (
        (narrow.day, steps.c.start_date), (narrow.modality, steps.c.modality), (narrow.state, steps.c.state),
    )  # fmt: skip
    conditions = [column == value for value, column in given if value]
    if narrow.station:
        # One title of a list joined by backslashes. LIKE would ignore case in SQLite; a replacement does not.
        titles = literal("\\") + steps.c.station_ae + literal("\\")
        conditions.append(func.replace(titles, f"\\{narrow.station}\\", "") != titles)
    return conditions


def _orders(connection: Connection, wanted: Select[Any]) -> list[OrderRow]:
    return list(connection.execute(wanted).scalars())


def _is_full(connection: Connection, candidates: Subquery) -> bool:
    counted = connection.execute(select(func.count()).select_from(candidates)).scalar_one()
    return int(counted) == LOOKED_AT
