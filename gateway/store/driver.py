"""Calls of the database's own driver, with errors as SQLAlchemy raises them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

_OF_SERVER: Final = 5 / 6
"""The part of the time for an answer that a statement may take in the server: who waits gets the server's word."""


def call(connection: Connection, sql: str, given: Any = (), *, many: bool = False) -> Any:
    """One call of the driver; returns its cursor. `many`: `given` is a list of rows, for each of which it is run.

    Raises `DBAPIError` as `Connection.execute` does.
    """
    if not connection.in_transaction():
        # As SQLAlchemy does: nothing runs outside a transaction, which also keeps a reader from writing.
        connection.begin()
    return call_at_once(connection, sql, given, many=many)


def call_at_once(connection: Connection, sql: str, given: Any = (), *, many: bool = False) -> Any:
    """As `call`, for what begins a transaction or runs in one."""
    raw: Any = connection.connection.dbapi_connection
    try:
        if not many:
            return raw.execute(sql, given)
        cursor = raw.cursor()
        cursor.executemany(sql, given)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _named(connection, sql, error) from error
    return cursor


@contextmanager
def in_one_round_trip(connection: Connection) -> Iterator[None]:
    """PostgreSQL: send the statements of the block together.

    What they find is there, and what is wrong with any of them is raised, at the end of the block at the latest. Within
    it `call` runs and nothing else.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    raw: Any = connection.connection.dbapi_connection
    try:
        with raw.pipeline():
            yield
    except connection.dialect.loaded_dbapi.Error as error:
        raise _named(connection, "", error) from error


def statement_ms(seconds: float | None) -> int:
    """PostgreSQL's `statement_timeout` where an answer is waited for so long; None: without end."""
    return 0 if seconds is None else round(seconds * 1000 * _OF_SERVER)


def limit_statements(connection: Connection, seconds: float | None) -> None:
    """PostgreSQL: between two transactions of `connection`, let each statement of the next take so long and no longer;
    None: any time."""
    if connection.dialect.name != "postgresql":
        return
    raw: Any = connection.connection.dbapi_connection
    raw.answer_seconds = seconds
    try:
        raw.let_statements_take(statement_ms(seconds))
    except connection.dialect.loaded_dbapi.Error as error:
        raise _named(connection, "", error) from error


def begin_late(connection: Connection) -> None:
    """PostgreSQL: between two transactions of `connection`, let the next ones, which are read committed, begin with
    their first statement: in one round trip with what `in_one_round_trip` sends."""
    if connection.dialect.name == "postgresql":
        raw: Any = connection.connection.dbapi_connection
        raw.begin_late(True)


def _named(connection: Connection, sql: str, error: Any) -> DBAPIError:
    """An error of the driver as SQLAlchemy names it; a connection that is lost is given up."""
    raw: Any = connection.connection.dbapi_connection
    driver: Any = connection.dialect.loaded_dbapi
    lost = connection.dialect.is_disconnect(error, raw, None)
    if lost:
        connection.invalidate(error)
    named: Any = DBAPIError.instance(
        sql, None, error, driver.Error, hide_parameters=True, connection_invalidated=lost, dialect=connection.dialect
    )
    return cast(DBAPIError, named)
