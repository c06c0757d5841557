"""A connection to PostgreSQL that gives up, so that a server that hangs holds no thread for ever."""

from __future__ import annotations

import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Engine, event

T = TypeVar("T")


class LimitedConnection(psycopg.Connection[Any]):
    """Closes itself when a statement has had no answer for `answer_seconds`."""

    answer_seconds: float = 0.0

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """What `gen` comes to. Raises `psycopg.OperationalError`, with the connection closed, when that takes too long.

        Nothing else can be done with it: what the server will make of the statement, a commit for example, is not
        known.
        """
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        begun = time.monotonic()
        try:
            return super().wait(gen, interval, self.answer_seconds)
        except psycopg.Error as error:
            if time.monotonic() - begun < self.answer_seconds:
                raise
            self.close()
            raise psycopg.OperationalError(f"no answer for {self.answer_seconds:g} s") from error


def limit_answers(engine: Engine, seconds: float) -> None:
    """Let each new connection of `engine` wait `seconds` for the answer to a statement, and no longer."""

    def connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> LimitedConnection:
        connection = LimitedConnection.connect(*arguments, **parameters)
        connection.answer_seconds = seconds
        return connection

    event.listen(engine, "do_connect", connect)
