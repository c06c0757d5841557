"""A connection to PostgreSQL, or to a pooler before it, with the gateway's settings and an end to its patience.

A pooler such as PgBouncer gives each transaction any of its sessions in the server. Settings are part of each
transaction then, sent by the round trip that begins it, and the driver prepares no statements.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Connection, Engine, event

from gateway.store.driver import in_one_round_trip, statement_ms

T = TypeVar("T")
_REFUSED: Final = "unsupported startup parameter"
"""What PgBouncer answers to `options`, or to what it does not know of them."""
_OF_STATEMENTS: Final = "statement pooling"
_SETTING: Final = re.compile(r"(?:-c\s*|--)([\w.]+)=((?:\\.|\S)*)\s*")
"""One setting of the parameter `options` (PostgreSQL 34.1.2); a backslash stands before a space of its value."""


class PostgresConnection(psycopg.Connection[Any]):
    """Closes itself when a statement has had no answer for `answer_seconds`; None: waits without end."""

    answer_seconds: float | None = None
    statement_ms: int = 0
    """After which the server ends a statement; 0: never."""
    of_transactions: Mapping[str, str] = {}
    """Settings that each transaction makes for itself; empty: the session has them."""
    begins_late: bool = False
    """BEGIN goes with the first statement of a transaction, in one round trip where that is one of a pipeline: psycopg
    waits for its own BEGIN there too."""
    is_to_begin: bool = False
    """A transaction has begun, and nothing of it was sent."""

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """What `gen` comes to. Raises `psycopg.OperationalError`, with the connection closed, when that takes too long.

        Nothing else can be done with it: what the server will make of the statement, a commit for example, is not
        known.
        """
        seconds = self.answer_seconds
        if timeout is not None or seconds is None:
            return super().wait(gen, interval, timeout)
        begun = time.monotonic()
        try:
            return super().wait(gen, interval, seconds)
        except psycopg.Error as error:
            if time.monotonic() - begun < seconds:
                raise
            self.close()
            raise psycopg.OperationalError(f"no answer for {seconds:g} s") from error

    def begin_late(self, late: bool) -> None:
        """Of the next transactions, which are read committed; between two of them."""
        self.autocommit = self.begins_late = late

    def cursor(self, *args: Any, **options: Any) -> Any:
        """Each statement is run by one."""
        if self.is_to_begin:
            self.is_to_begin = False
            try:
                super().cursor().execute("BEGIN")
                if self.of_transactions:
                    self.send_settings()
            except BaseException:
                # Without a transaction, it would commit each statement that follows by itself.
                self.close()
                raise
        return super().cursor(*args, **options)

    def commit(self) -> None:
        self.is_to_begin = False
        super().commit()

    def rollback(self) -> None:
        self.is_to_begin = False
        super().rollback()

    def let_statements_take(self, milliseconds: int) -> None:
        """Of the next transactions; between two of them."""
        if milliseconds == self.statement_ms:
            return
        if not self.of_transactions:
            try:
                self.autocommit = True
                self.execute(f"SET statement_timeout = {milliseconds}")
                self.autocommit = self.begins_late
            except BaseException:
                # Left as it is, it would commit each statement of a later transaction by itself.
                self.close()
                raise
        self.statement_ms = milliseconds

    def send_settings(self) -> None:
        """The first statement of a transaction behind a pooler."""
        settings = {**self.of_transactions, "statement_timeout": str(self.statement_ms)}
        values = [text for setting in settings.items() for text in setting]
        self.execute(f"SELECT {', '.join(['set_config(%s, %s, true)'] * len(settings))}", values)


class Connecting:
    """Makes the connections of an engine. `options`: as libpq takes them, what the address gives before our own."""

    def __init__(self, options: str, answer_seconds: float | None) -> None:
        self._options = options
        self._answer_seconds = answer_seconds
        self._refused = False

    def begin(self, engine: Engine) -> None:
        """Make those of `engine` from now on."""
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "begin", _begin)
        event.listen(engine, "checkin", _as_the_server_has_it)

    def _connect(self, _dialect: Any, _record: Any, arguments: Any, parameters: Any) -> PostgresConnection:
        connection = self._opened(arguments, parameters)
        connection.answer_seconds, connection.statement_ms = self._answer_seconds, statement_ms(self._answer_seconds)
        try:
            connection.autocommit = True
            [pid] = connection.execute("SELECT pg_backend_pid()").fetchone() or [0]
            connection.autocommit = False
            # A pooler has given out a number of its own.
            if self._refused or pid != connection.info.backend_pid:
                self._go_through_a_pooler(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _opened(self, arguments: Any, parameters: Any) -> PostgresConnection:
        if not self._refused:
            try:
                return PostgresConnection.connect(*arguments, **parameters, options=self._options)
            except psycopg.OperationalError as error:
                if _REFUSED not in str(error):
                    raise
                self._refused = True
        return PostgresConnection.connect(*arguments, **parameters)

    def _go_through_a_pooler(self, connection: PostgresConnection) -> None:
        connection.prepare_threshold = None
        connection.of_transactions = _settings(self._options)
        try:
            connection.send_settings()
            connection.rollback()
        except psycopg.Error as error:
            if _OF_STATEMENTS not in str(error):
                raise
            raise psycopg.OperationalError(
                "the pooler at database.url pools single statements, the gateway needs transactions:"
                " set pool_mode = transaction for its database in pgbouncer.ini"
            ) from error


def _settings(options: str) -> dict[str, str]:
    """Raises `psycopg.OperationalError` where there is anything but settings."""
    settings, at = {}, 0
    while at < len(options):
        found = _SETTING.match(options, at)
        if found is None:
            raise psycopg.OperationalError("options of database.url hold more than settings, which no pooler takes")
        settings[found[1]], at = re.sub(r"\\(.)", r"\1", found[2]), found.end()
    return settings


def _begin(connection: Connection) -> None:
    raw: Any = connection.connection.dbapi_connection
    if raw.begins_late:
        raw.is_to_begin = True
    elif raw.of_transactions:
        with in_one_round_trip(connection):
            raw.send_settings()


def _as_the_server_has_it(connection: PostgresConnection | None, _record: Any) -> None:
    """Forget what a reader wanted of its transactions. SQLAlchemy asks for READ WRITE afterwards, which a server that
    was made read-only by its default would obey."""
    if connection is not None and not connection.closed:
        if connection.begins_late:
            connection.begin_late(False)
        connection.isolation_level = connection.read_only = None
