"""Putting away what was not applied or could not be read, and taking it back: nothing is deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, select, update

from gateway.errors import Conflict, UnknownKey
from gateway.records.put_away import NOUNS, Kind, PutAway
from gateway.store.messages import IS_OPEN
from gateway.store.outbox import PAGE
from gateway.store.refusals import IS_OPEN as REFUSAL_IS_OPEN
from gateway.store.schema import messages, refusals

TABLES: Final[dict[Kind, Table]] = {Kind.MESSAGE: messages, Kind.REFUSAL: refusals}


def put_away(connection: Connection, kind: Kind, ids: Sequence[int], by: PutAway) -> int:
    """Let these rows call for nobody; how many there are. Raises `UnknownKey` for an id that does not exist, `Conflict`
    for a message that was applied or is of a type that is not served: those call for nobody."""
    _check(connection, kind, ids)
    _set(connection, kind, ids, {"put_away_at": by.at, "put_away_by": by.person, "put_away_note": by.note})
    return len(ids)


def take_back(connection: Connection, kind: Kind, ids: Sequence[int]) -> int:
    """Let these rows call for a person again; how many there are. Raises `UnknownKey` and `Conflict` as `put_away`."""
    _check(connection, kind, ids)
    _set(connection, kind, ids, {"put_away_at": None, "put_away_by": "", "put_away_note": ""})
    return len(ids)


def open_of_cause(connection: Connection, key: str, *, after: int = 0) -> list[int]:
    """Ids of messages of a cause that call for a person: at most `PAGE` behind the id `after`, in order."""
    of_cause = (messages.c.cause == key, *IS_OPEN, messages.c.id > after)
    return list(
        connection.execute(select(messages.c.id).where(*of_cause).order_by(messages.c.id).limit(PAGE)).scalars()
    )


def open_refusals(connection: Connection) -> list[Any]:
    """`id`, `refused_at`, `source` and `reason` of all refusals that call for a person: few are kept."""
    columns = (refusals.c.id, refusals.c.refused_at, refusals.c.source, refusals.c.reason)
    wanted = select(*columns).where(REFUSAL_IS_OPEN).order_by(refusals.c.id)
    return list(connection.execute(wanted).mappings())


def _check(connection: Connection, kind: Kind, ids: Sequence[int]) -> None:
    table = TABLES[kind]
    cause: ColumnElement[str] = messages.c.cause if kind is Kind.MESSAGE else table.c.reason
    causes = {row.id: row.cause for row in connection.execute(_causes(table, cause, ids))}
    for one in ids:
        if one not in causes:
            raise UnknownKey(f"there is no {NOUNS[kind]} {one}", place=f"{NOUNS[kind]} {one}")
        if kind is Kind.MESSAGE and not causes[one]:
            raise Conflict("it was applied, or its type is not served: it calls for nobody", place=f"message {one}")


def _causes(table: Table, cause: ColumnElement[str], ids: Sequence[int]) -> Any:
    return select(table.c.id, cause.label("cause")).where(table.c.id.in_(ids)).with_for_update()


def _set(connection: Connection, kind: Kind, ids: Sequence[int], values: dict[str, Any]) -> None:
    connection.execute(update(TABLES[kind]).where(TABLES[kind].c.id.in_(ids)).values(values))
