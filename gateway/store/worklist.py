"""Scheduled steps as worklist items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Text,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    type_coerce,
)

from gateway.records.row_ids import OrderRow, PatientRow, StepRow
from gateway.store.schema import ENDED, orders, patients, procedures, steps, word
from gateway.worklist.prefilter import Prefilter

NOT_BEGUN: Final = frozenset({"SCHEDULED", "ARRIVED", "READY", "HELD"})
"""States in which a step expires."""


def _of_steps(*columns: ColumnElement[Any]) -> Select[Any]:
    """Steps with their procedures, orders and patients, in the order in which they are to be done."""
    return (
        select(*columns)
        .join(procedures, procedures.c.id == steps.c.procedure)
        .join(orders, orders.c.id == procedures.c.order)
        .join(patients, patients.c.id == orders.c.patient)
        .order_by(steps.c.start_date, steps.c.start_time, steps.c.id)
    )


ITEMS: Final = _of_steps(
    steps.c.id, steps.c.state, steps.c.step_id, steps.c.modality, steps.c.station_ae, steps.c.start_date,
    steps.c.start_time, steps.c.updated_at, steps.c.attributes.label("step"),
    procedures.c.attributes.label("procedure"),
    procedures.c.study_uid, procedures.c.requested_procedure_id, orders.c.attributes.label("order"),
    orders.c.accession, orders.c.event_at, patients.c.attributes.label("patient"), patients.c.patient_id,
    patients.c.issuer, patients.c.stamps, patients.c.former,
)  # fmt: skip
"""A row for each step with all that an answer can hold."""


def of_patients(connection: Connection, rows: Sequence[PatientRow]) -> list[RowMapping]:
    """All steps of these patients, whatever their state."""
    return list(connection.execute(ITEMS.where(patients.c.id.in_(rows))).mappings())


class Texts(NamedTuple):
    """What an item is made of, JSON as the database holds it: reading it is left to whoever has not read it before."""

    patient: str
    stamps: str
    order: str
    event_at: int
    former: str
    procedure: str
    step: str


class CandidateRow(NamedTuple):
    id: StepRow
    state: str
    station_ae: str
    texts: Texts


class Visibility(NamedTuple):
    """Which states are not shown; with `started_after`, STARTED steps that have changed since (microseconds) are; with
    `first_day` (DA), steps of earlier days that nobody has begun are not."""

    hidden: tuple[str, ...]
    started_after: int | None = None
    first_day: str = ""

    def is_expired(self, state: str, start_date: str) -> bool:
        """Whether nobody began the step, and its day is past."""
        return state in NOT_BEGUN and "" < start_date < self.first_day

    def shows(self, state: str, updated_at: int) -> bool:
        if state == "STARTED" and self.started_after is not None and updated_at >= self.started_after:
            return True
        return state not in self.hidden


def _raw(column: ColumnElement[Any]) -> ColumnElement[str]:
    return type_coerce(column, Text)


_CANDIDATES: Final = _of_steps(
    steps.c.id, steps.c.state, steps.c.station_ae, _raw(patients.c.attributes), _raw(patients.c.stamps),
    _raw(orders.c.attributes), orders.c.event_at, _raw(patients.c.former), _raw(procedures.c.attributes),
    _raw(steps.c.attributes),
)  # fmt: skip


def _patients_named() -> Select[tuple[int]]:
    named = select(patients.c.id, patients.c.merged_into).where(patients.c.patient_id == bindparam(PATIENT_ID))
    chain = named.cte("chain", recursive=True)
    survivors = patients.alias("survivors")
    chain = chain.union(select(survivors.c.id, survivors.c.merged_into).where(survivors.c.id == chain.c.merged_into))
    return select(chain.c.id)


PATIENT_ID: Final = "the_patient_id"
PATIENTS_NAMED: Final = _patients_named()
"""The patients of the Patient ID that is bound as `PATIENT_ID`, and those into whom such a patient was merged."""


def candidates(connection: Connection, wanted: Prefilter, visible: Visibility) -> Iterator[CandidateRow]:
    """Steps that may match, with all that an answer can hold; the caller decides by the matching rules.

    Read from the database as they are taken, so that who stops early has not loaded them all. Each condition that is
    not None narrows the search by an index. A step without a station is every station's.
    """
    statement = _CANDIDATES.where(*_conditions(wanted), *_shown(visible))
    if not wanted.finds_few:
        # A cursor in the server costs PostgreSQL more than to find one step.
        statement = statement.execution_options(yield_per=500)
    found = connection.execute(statement, {PATIENT_ID: wanted.patient_id})
    for identity, state, station_ae, *texts in found:
        yield CandidateRow(identity, state, station_ae, Texts(*texts))


def _conditions(wanted: Prefilter) -> Iterator[ColumnElement[bool]]:
    if wanted.patient_id is not None:
        yield patients.c.id.in_(PATIENTS_NAMED)
    if wanted.name_prefix is not None:
        # An empty key stands for a name that this cannot tell of.
        key, prefix = patients.c.name_key, wanted.name_prefix
        yield or_(and_(key >= prefix, key <= prefix + _HIGHEST), key == "")
    if wanted.accession_number is not None:
        yield orders.c.accession == wanted.accession_number
    if wanted.study_uids is not None:
        yield procedures.c.study_uid.in_(wanted.study_uids)
    if wanted.modality is not None:
        yield steps.c.modality == wanted.modality
    if wanted.station_ae is not None:
        several = steps.c.station_ae.contains("\\", autoescape=True)
        yield or_(steps.c.station_ae == "", steps.c.station_ae == wanted.station_ae, several)
    if wanted.date_from is not None:
        yield steps.c.start_date >= wanted.date_from
    if wanted.date_to is not None:
        yield steps.c.start_date <= wanted.date_to


_HIGHEST: Final = "\U0010ffff"


_IS_OPEN: Final = and_(*(steps.c.state != word(state) for state in ENDED))
"""In the words of the index."""


def _shown(visible: Visibility) -> Iterator[ColumnElement[bool]]:
    hidden = set(visible.hidden)
    if hidden >= set(ENDED):
        yield _IS_OPEN
        hidden -= set(ENDED)
    if visible.started_after is not None:
        hidden.discard("STARTED")
        yield or_(steps.c.state != "STARTED", steps.c.updated_at >= visible.started_after)
    if hidden:
        yield steps.c.state.not_in(sorted(hidden))
    if visible.first_day:
        yield _not_expired(visible.first_day)


def _not_expired(first_day: str) -> ColumnElement[bool]:
    return or_(steps.c.start_date >= first_day, steps.c.start_date == "", steps.c.state.not_in(sorted(NOT_BEGUN)))


def of_orders(connection: Connection, rows: Sequence[OrderRow]) -> list[RowMapping]:
    """All steps of these orders, whatever their state."""
    wanted = ITEMS.where(orders.c.id.in_(rows)).order_by(steps.c.id)
    return list(connection.execute(wanted).mappings()) if rows else []


def of_day(connection: Connection, day: str, *, limit: int) -> list[RowMapping]:
    """Steps that begin on a day (DA), whatever their state."""
    return list(connection.execute(ITEMS.where(steps.c.start_date == day).limit(limit)).mappings())


def of_steps(connection: Connection, rows: Sequence[StepRow]) -> list[RowMapping]:
    return list(connection.execute(ITEMS.where(steps.c.id.in_(rows))).mappings()) if rows else []


_SCHEDULED: Final = _of_steps(
    steps.c.id, steps.c.state, steps.c.step_id, steps.c.modality, steps.c.station_ae, steps.c.start_date,
    steps.c.start_time, steps.c.updated_at, procedures.c.study_uid, procedures.c.requested_procedure_id,
    orders.c.accession, patients.c.patient_id, patients.c.issuer, patients.c.attributes.label("patient"),
    procedures.c.attributes.label("procedure"),
)  # fmt: skip


def scheduled(
    connection: Connection,
    *,
    hidden: Sequence[str],
    first_day: str = "",
    date: str = "",
    modality: str = "",
    station_ae: str = "",
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Steps for people, in the order in which they are to be done; a step without a station is every station's."""
    wanted = _SCHEDULED.where(*_shown(Visibility(tuple(hidden), first_day=first_day))).limit(limit)
    if date:
        wanted = wanted.where(steps.c.start_date == date)
    if modality:
        wanted = wanted.where(steps.c.modality == modality)
    if station_ae:
        # One title of a list joined by backslashes. LIKE would ignore case in SQLite; a replacement does not.
        titles = literal("\\") + steps.c.station_ae + literal("\\")
        named = func.replace(titles, f"\\{station_ae}\\", "") != titles
        wanted = wanted.where(or_(steps.c.station_ae == "", named))
    return [dict(row) for row in connection.execute(wanted).mappings()]
