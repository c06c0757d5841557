"""What people look for: every way goes through an index and ends at a limit, however many rows there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    union_all,
)

from gateway.records.lookup import MatchedOn, NamePrefixes
from gateway.records.message import MessageState
from gateway.records.row_ids import MessageRow, OrderRow, PatientRow
from gateway.store import message_numbers
from gateway.store.message_numbers import HIGHEST
from gateway.store.messages import in_state
from gateway.store.schema import (
    EMPTY,
    instances,
    messages,
    orders,
    patients,
    performed_step_links,
    performed_steps,
    procedures,
    series,
    studies,
)

MOST_SENDERS: Final = 200
"""Of messages; MSH-10 is indexed behind the sender."""

_text: Final[BindParameter[str]] = bindparam("the_text", type_=Text)


def _first_of(wanted: Sequence[Any]) -> Any:
    """The rows of several selects, of each no more than `the_limit`."""
    limit: BindParameter[int] = bindparam("the_limit", type_=Integer)
    return union_all(*(select(one.limit(limit).subquery()) for one in wanted))


def _by(key: ColumnElement[int], matched: MatchedOn) -> Select[int, str]:
    return select(key.label("id"), literal(matched.value).label("by"))


_ORDERS: Final = _first_of(
    [
        _by(orders.c.id, MatchedOn.ACCESSION).where(orders.c.accession == _text).order_by(orders.c.id.desc()),
        _by(orders.c.id, MatchedOn.PLACER).where(orders.c.placer == _text).order_by(orders.c.id.desc()),
        _by(orders.c.id, MatchedOn.FILLER).where(orders.c.filler == _text).order_by(orders.c.id.desc()),
        _by(procedures.c.order, MatchedOn.STUDY).where(procedures.c.study_uid == _text),
        _by(orders.c.id, MatchedOn.STUDY).where(orders.c.study_uid == _text, orders.c.study_uid != EMPTY),
        _by(performed_step_links.c.order, MatchedOn.PERFORMED_STEP)
        .join(performed_steps, performed_steps.c.id == performed_step_links.c.performed_step)
        .where(performed_steps.c.sop_uid == _text),
    ]
)
_STUDIES: Final = _first_of(
    [
        _by(studies.c.id, MatchedOn.STUDY).where(studies.c.study_uid == _text),
        _by(studies.c.id, MatchedOn.ACCESSION).where(studies.c.accession == _text).order_by(studies.c.id.desc()),
        _by(series.c.study, MatchedOn.SERIES).where(series.c.series_uid == _text),
        _by(series.c.study, MatchedOn.INSTANCE)
        .join(instances, instances.c.series == series.c.id)
        .where(instances.c.sop_uid == _text),
        _by(studies.c.id, MatchedOn.PATIENT_ID).where(studies.c.patient_id == _text).order_by(studies.c.id.desc()),
    ]
)


def _matches(connection: Connection, statement: Any, text: str, limit: int) -> dict[int, MatchedOn]:
    rows = connection.execute(statement, {"the_text": text, "the_limit": limit})
    matches: dict[int, MatchedOn] = {}
    for key, by in rows:
        matches.setdefault(key, MatchedOn(by))
    return matches


def orders_numbered(connection: Connection, number: str, *, limit: int) -> dict[OrderRow, MatchedOn]:
    """Orders by accession number, placer and filler order number, Study Instance UID or performed step."""
    return {OrderRow(key): by for key, by in _matches(connection, _ORDERS, number, limit).items()}


def studies_numbered(connection: Connection, number: str, *, limit: int) -> dict[int, MatchedOn]:
    """Studies by their UID, that of a series or an instance, accession number or Patient ID."""
    return _matches(connection, _STUDIES, number, limit)


def patients_numbered(connection: Connection, number: str, *, limit: int) -> list[PatientRow]:
    """Patients of this Patient ID; whom it once meant is found by where their row leads."""
    wanted = select(patients.c.id).where(patients.c.patient_id == number).order_by(patients.c.id).limit(limit)
    return list(connection.execute(wanted).scalars())


def patients_named(connection: Connection, names: NamePrefixes, *, limit: int) -> list[PatientRow]:
    """Patients whose family or given name begins so, by name."""
    ranges = [(patients.c.name_key, prefix) for prefix in names.name]
    ranges += [(patients.c.given_key, prefix) for prefix in names.given]
    found: dict[PatientRow, None] = {}
    for key, prefix in ranges:
        wanted = select(patients.c.id).where(key >= prefix, key <= prefix + HIGHEST).order_by(key)
        found |= dict.fromkeys(connection.execute(wanted.limit(limit)).scalars())
    return list(found)[:limit]


def is_named(names: NamePrefixes) -> Iterator[ColumnElement[bool]]:
    """The same as conditions of a patient."""
    yield from (and_(patients.c.name_key >= one, patients.c.name_key <= one + HIGHEST) for one in names.name)
    yield from (and_(patients.c.given_key >= one, patients.c.given_key <= one + HIGHEST) for one in names.given)


def is_numbered(number: str) -> ColumnElement[bool]:
    """An order, joined with its patient and procedure, has this number."""
    columns = (orders.c.accession, orders.c.placer, orders.c.filler, procedures.c.study_uid, patients.c.patient_id)
    return or_(*(column == number for column in columns))


def orders_of(connection: Connection, rows: Sequence[PatientRow], *, limit: int) -> list[OrderRow]:
    """The newest orders of these patients."""
    if not rows:
        return []
    wanted = select(orders.c.id).where(orders.c.patient.in_(rows)).order_by(orders.c.id.desc()).limit(limit)
    return list(connection.execute(wanted).scalars())


_first: Final = select(
    select(func.min(messages.c.sender)).scalar_subquery().label("sender"), literal(1).label("number")
).cte("senders", recursive=True)
_further: Final = select(
    select(func.min(messages.c.sender)).where(messages.c.sender > _first.c.sender).correlate(_first).scalar_subquery(),
    _first.c.number + 1,
).where(_first.c.sender.is_not(None), _first.c.number < MOST_SENDERS)
_each: Final = _first.union_all(_further)
_SENDERS: Final = select(_each.c.sender).where(_each.c.sender.is_not(None))
"""Each MSH-3|MSH-4 once: a step through the index for each, not a look at every message."""


def messages_identified(connection: Connection, control_id: str, *, limit: int) -> list[MessageRow]:
    """The newest messages of this MSH-10, whatever became of them."""
    senders = list(connection.execute(_SENDERS).scalars())
    wanted = (
        select(messages.c.id)
        .where(messages.c.sender.in_(senders), messages.c.control_id == control_id)
        .order_by(messages.c.id.desc())
        .limit(limit)
    )
    return list(connection.execute(wanted).scalars())


def messages_found(
    connection: Connection, text: str, names: NamePrefixes, *, limit: int
) -> dict[MessageRow, MatchedOn]:
    """Messages by MSH-10; of those without effect also by the numbers and names that they hold."""
    ways = (
        (MatchedOn.CONTROL_ID, messages_identified(connection, text, limit=limit)),
        (MatchedOn.NUMBER, message_numbers.numbered(connection, text, limit=limit)),
        (MatchedOn.NAME, message_numbers.named(connection, names, limit=limit)),
    )
    found: dict[MessageRow, MatchedOn] = {}
    for by, rows in ways:
        for row in rows:
            found.setdefault(row, by)
    return found


WITHOUT_EFFECT: Final = (MessageState.REJECTED, MessageState.FAILED)


def newest_without_effect(connection: Connection, *, limit: int) -> list[MessageRow]:
    """The newest messages that were not applied."""
    newest = [select(messages.c.id).where(*in_state(state)).order_by(messages.c.id.desc()) for state in WITHOUT_EFFECT]
    rows = connection.execute(_first_of(newest), {"the_limit": limit}).scalars()
    return sorted(rows, reverse=True)[:limit]
