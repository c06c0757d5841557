"""What is asked of a database, to see how it goes about that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, event

Asked = list[tuple[str, Any]]
"""Statements with their values."""


def asked_by(connection: Connection, work: Callable[[Connection], Any]) -> Asked:
    """Do `work`; what SQLAlchemy sent for it."""
    asked: Asked = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    work(connection)
    event.remove(connection, "before_cursor_execute", note)
    return asked


def _run_by(connection: Connection, work: Callable[[Connection], Any]) -> list[str]:
    """Do `work`; the statements that SQLite ran for it with their values in them, also those that are given to the
    driver itself."""
    ran: list[str] = []
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.set_trace_callback(ran.append)
    try:
        work(connection)
    finally:
        driver.set_trace_callback(None)
    return ran


def plan_of(connection: Connection, statement: str, values: Any) -> list[str]:
    """The lines of the plan of a statement."""
    prefix = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    return [str(row[-1]) for row in connection.exec_driver_sql(prefix + statement, values)]


def plans_of(connection: Connection, work: Callable[[Connection], Any]) -> list[tuple[str, str]]:
    """(statement, line of its plan) of all that `work` reads of SQLite."""
    return [
        (statement, line)
        for statement in _run_by(connection, work)
        if statement.lstrip().startswith(("SELECT", "WITH"))
        for line in plan_of(connection, statement, ())
    ]
