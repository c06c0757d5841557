"""A statement that changes many rows, each by values of its own: on PostgreSQL by one run, of one text for all values.

psycopg converts each value of each row by itself, and PostgreSQL binds and runs a statement for each row (`many_rows`).
SQLite's driver runs a statement for each row without leaving its own code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from gateway.store import many_rows
from gateway.store.statement import Statement, execute

_VALUE: Final = re.compile(r"%\((\w+)\)s(?:::\w+)?")
_INSERTED: Final = re.compile(r" VALUES \((.*?)\)( ON CONFLICT|$)")


class SetStatement(Statement):
    """An UPDATE, a DELETE or an INSERT with ON CONFLICT. The rows that it is given meet different rows of its table."""

    _of_set: str = ""

    def run_all(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        if len(rows) < 2 or connection.dialect.name != "postgresql":
            return super().run_all(connection, rows)
        compiled = self._for(connection)
        if not self._of_set:
            kind_of = connection.dialect.type_compiler_instance.process
            self._of_set = of_set(compiled.sql, {name: kind_of(one) for name, one in compiled.types.items()})
        texts = many_rows.as_json([compiled.given(values) for values in rows])
        met = sum(int(execute(connection, self._of_set, {"rows": text}).rowcount) for text in texts)
        for values in rows:
            self._note(connection, values)
        return met


def of_set(sql: str, types: Mapping[str, str]) -> str:
    """The statement for the rows of a JSON text, `rows`, of a statement of PostgreSQL for one row with values of these
    types."""
    sql = " ".join(sql.split())
    typed = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
    rows = f"json_to_recordset(CAST(%(rows)s AS json)) AS rows({typed})"
    sql = _VALUE.sub(lambda found: f'rows."{found[1]}"', sql)
    if sql.startswith("INSERT"):
        return _INSERTED.sub(lambda found: f" SELECT {found[1]} FROM {rows}{found[2]}", sql)
    head, where, condition = sql.partition(" WHERE ")
    return f"{head} {'USING' if sql.startswith('DELETE') else 'FROM'} {rows}{where}{condition}"
