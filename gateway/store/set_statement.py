"""A statement that changes many rows, each by values of its own: on PostgreSQL by one run, of one text for all values.

psycopg converts each value of each row by itself, and PostgreSQL binds and runs a statement for each row (`many_rows`).
SQLite's driver runs a statement for each row without leaving its own code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from gateway.store.statement import Statement, execute


class SetStatement(Statement):
    """An UPDATE, a DELETE or an INSERT with ON CONFLICT. The rows that it is given meet different rows of its table."""

    is_for_many = True

    def run_all(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        if len(rows) < 2 or connection.dialect.name != "postgresql":
            return super().run_all(connection, rows)
        met = sum(int(execute(connection, sql, given).rowcount) for sql, given in self.updates(connection, rows))
        for values in rows:
            self._note(connection, values)
        return met
