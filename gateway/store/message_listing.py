"""Messages for people: what was not applied, by cause, and pages of what was received.

A page looks at a bounded number of rows: what no index holds is compared with at most `LOOKED_AT` messages, and the
answer says where to go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from gateway.records.message import MessageState
from gateway.store.messages import IS_OPEN, in_state
from gateway.store.recent import first_since
from gateway.store.schema import EMPTY, messages, order_messages, orders, patient_messages, patients

LOOKED_AT: Final = 5_000
MOST_GROUPS: Final = 50
_LISTED: Final = tuple(column for column in messages.c if column.name not in ("body", "ack", "digest"))


@dataclass(frozen=True, slots=True)
class CauseGroup:
    """Messages that were not applied for one cause and call for a person."""

    key: str
    count: int
    first_at: int
    last_at: int
    newest: int
    """Id of the newest, an example."""
    findings: list[dict[str, str]]
    """Of the newest."""
    types: str
    """Type of the newest."""
    listener: str
    """Of the newest."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The most frequent causes first."""

    causes: list[CauseGroup]
    more_causes: int
    total: int
    """Messages that call for a person, counted up to `LOOKED_AT`."""
    is_whole: bool
    """Whether there are no more than were counted."""


def groups(connection: Connection, *, limit: int = MOST_GROUPS) -> Groups:
    """The newest `LOOKED_AT` messages that were not applied nor put away, by cause."""
    newest = _newest([*IS_OPEN], messages.c.id, messages.c.cause).subquery()
    count = func.count().label("count")
    wanted = (
        select(newest.c.cause, count, func.min(newest.c.id).label("first"), func.max(newest.c.id).label("newest"))
        .group_by(newest.c.cause)
        .order_by(count.desc(), newest.c.cause)
    )
    rows = connection.execute(wanted).all()
    total = sum(row.count for row in rows)  # type: ignore[misc]
    return Groups(
        list(_causes(connection, rows[:limit])), max(0, len(rows) - limit), min(total, LOOKED_AT), total <= LOOKED_AT
    )


def _causes(connection: Connection, groups: Sequence[Any]) -> Iterator[CauseGroup]:
    ids = {id for row in groups for id in (row.first, row.newest)}
    columns = (messages.c.id, messages.c.received_at, messages.c.findings, messages.c.type, messages.c.listener)
    rows = {row.id: row for row in connection.execute(select(*columns).where(messages.c.id.in_(ids)))}
    for row in groups:
        first, example = rows[row.first], rows[row.newest]
        yield CauseGroup(
            row.cause, row.count, first.received_at, example.received_at, row.newest, example.findings, example.type,
            example.listener,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unserved:
    """Messages of a type that is not served: no alarm."""

    type: str
    count: int
    """Of the newest `LOOKED_AT` of all types."""
    newest: int
    """Id of the newest."""
    last_at: int


def unserved(connection: Connection) -> list[Unserved]:
    """The newest `LOOKED_AT` messages whose type is not served, by type, the most frequent first."""
    newest = _newest([messages.c.unserved], messages.c.id, messages.c.type).subquery()
    count, last = func.count().label("number"), func.max(newest.c.id).label("newest")
    groups = (
        select(newest.c.type, count, last).group_by(newest.c.type).order_by(count.desc()).limit(MOST_GROUPS).subquery()
    )
    wanted = (
        select(groups, messages.c.received_at)
        .join(messages, messages.c.id == groups.c.newest)
        .order_by(groups.c.number.desc(), groups.c.newest)
    )
    return [Unserved(row.type, row.number, row.newest, row.received_at) for row in connection.execute(wanted)]


def _newest(conditions: list[ColumnElement[bool]], *columns: ColumnElement[Any]) -> Any:
    return select(*columns).where(*conditions).order_by(messages.c.id.desc()).limit(LOOKED_AT + 1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages a page shows; what is empty is not asked for."""

    state: MessageState | None = None
    cause: str = ""
    listener: str = ""
    type: str = ""
    """`ORM^O01`, or `ORM` for all triggers."""
    first_at: int | None = None
    """Received from then on (microseconds)."""
    last_at: int | None = None
    """Received before then."""
    put_away: bool | None = None
    """Only those that were, or only those that were not applied and not put away."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows without their bytes, newest first."""

    rows: list[dict[str, Any]]
    next_before: int | None
    """`before` of the page that follows; None: there is none."""
    count: int | None
    """How many of the messages that were looked at are wanted; None: every message is, with more than are shown."""
    is_whole: bool
    """Whether all messages from `before` on were looked at."""


def page(connection: Connection, wanted: Wanted, *, limit: int, before: int | None = None) -> Page:
    """The newest wanted messages below the id `before`, at most `limit` of the `LOOKED_AT` that are looked at.

    Of all messages no more are looked at than are shown: SQLite finds them by their rows, bytes among them.
    """
    conditions = [*_by_index(wanted), *_of_days(connection, wanted)]
    by_row = list(_by_row(wanted, messages.c))
    most = LOOKED_AT if conditions or by_row else limit
    if before is not None:
        conditions.append(messages.c.id < before)
    looked_at = list(connection.execute(_newest(conditions, messages.c.id).limit(most + 1)).scalars())
    is_whole = len(looked_at) <= most
    looked_at = looked_at[:most]
    chosen = looked_at
    if looked_at and by_row:
        rows = _newest(conditions, messages.c.id, *_COMPARED).subquery()
        within = (rows.c.id >= looked_at[-1], *_by_row(wanted, rows.c))
        chosen = list(connection.execute(select(rows.c.id).where(*within).order_by(rows.c.id.desc())).scalars())
    following = chosen[limit - 1] if len(chosen) > limit else None if is_whole else looked_at[-1]
    count = len(chosen) if is_whole or most == LOOKED_AT else None
    return Page(_listed(connection, chosen[:limit]), following, count, is_whole)


def _listed(connection: Connection, ids: Sequence[int]) -> list[dict[str, Any]]:
    rows = connection.execute(select(*_LISTED).where(messages.c.id.in_(ids)).order_by(messages.c.id.desc()))
    return [{str(key): value for key, value in row.items()} for row in rows.mappings()]


def _by_index(wanted: Wanted) -> list[ColumnElement[bool]]:
    """The conditions of one index: together with those of another they would look at any number of rows."""
    if wanted.cause:
        return [messages.c.cause == wanted.cause, messages.c.cause != EMPTY]
    if wanted.put_away is not None:
        return [messages.c.put_away_at.is_not(None)] if wanted.put_away else [*IS_OPEN]
    return in_state(wanted.state) if wanted.state not in (None, MessageState.APPLIED) else []


def _of_days(connection: Connection, wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    if wanted.first_at is not None:
        yield messages.c.id >= first_since(connection, "messages", wanted.first_at)
    if wanted.last_at is not None:
        yield messages.c.id < first_since(connection, "messages", wanted.last_at)


_COMPARED: Final = (
    messages.c.state, messages.c.cause, messages.c.put_away_at, messages.c.listener, messages.c.type,
)  # fmt: skip


def _by_row(wanted: Wanted, columns: ReadOnlyColumnCollection[str, Any]) -> Iterator[ColumnElement[bool]]:
    """The other conditions, of rows that are looked at."""
    if wanted.cause and wanted.put_away is not None:
        yield columns.put_away_at.is_not(None) if wanted.put_away else columns.put_away_at.is_(None)
    is_by_index = not wanted.cause and wanted.put_away is None and wanted.state is not MessageState.APPLIED
    if wanted.state is not None and not is_by_index:
        yield columns.state == wanted.state.value
    if wanted.listener:
        yield columns.listener == wanted.listener
    if wanted.type:
        whole, any_trigger = columns.type == wanted.type, columns.type.startswith(f"{wanted.type}^", autoescape=True)
        yield whole if "^" in wanted.type else whole | any_trigger


@dataclass(frozen=True, slots=True)
class TouchedOrder:
    """An order of which a message spoke."""

    row: int
    accession: str
    outcome: str
    """`created`, `updated`, `stale`, ..."""


@dataclass(frozen=True, slots=True)
class TouchedPatient:
    """A patient of whom a message spoke."""

    row: int
    patient_id: str
    outcome: str
    """As that of an order; empty: an order spoke of them."""


def touched(connection: Connection, message: int) -> tuple[list[TouchedOrder], list[TouchedPatient]]:
    """The orders and the patients of which a message spoke; the patients of the orders among them."""
    of_orders = (
        select(orders.c.id, orders.c.accession, order_messages.c.outcome, orders.c.patient)
        .join(order_messages, order_messages.c.order == orders.c.id)
        .where(order_messages.c.message == message)
        .order_by(orders.c.id)
        .limit(MOST_GROUPS)
    )
    ordered = connection.execute(of_orders).all()
    stated = select(patient_messages.c.patient, patient_messages.c.outcome).where(patient_messages.c.message == message)
    outcomes = {row.patient: "" for row in ordered if row.patient is not None}
    outcomes |= {row.patient: row.outcome for row in connection.execute(stated)}
    known = select(patients.c.id, patients.c.patient_id).where(patients.c.id.in_(outcomes)).order_by(patients.c.id)
    spoken_of = [TouchedPatient(row.id, row.patient_id, outcomes[row.id]) for row in connection.execute(known)]
    return [TouchedOrder(row.id, row.accession, row.outcome) for row in ordered], spoken_of
