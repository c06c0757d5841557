"""What is a failure of the database and what of a statement, for every code that PostgreSQL and SQLite have."""

from __future__ import annotations

import re
import sqlite3
from types import SimpleNamespace

import pytest
from psycopg import errors
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from gateway.errors import Unavailable
from gateway.store import Store
from gateway.store.outages import is_outage
from tests.store.notes import kept, note

POSTGRESQL = """
    08000 08001 08003 08004 08006 08007 08P01
    0A000
    25006 25P03 25P04
    40001 40003 40P01
    53000 53100 53200 53300 53400
    55000 55006 55P02 55P03 55P04
    57000 57014 57P01 57P02 57P03 57P04 57P05
    58000 58030 58P01 58P02 58P03
    72000
    XX000 XX001 XX002
"""
"""PostgreSQL appendix A: connection, recovery, read-only, sessions that were ended, resources, state of objects,
operator, system, snapshots, internal."""
SQLITE = "PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT FULL CANTOPEN PROTOCOL NOLFS NOTADB"
OF_STATEMENTS = "ERROR INTERNAL NOTFOUND EMPTY SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE AUTH FORMAT RANGE"


def raised(original: Exception) -> DBAPIError:
    return DBAPIError("SELECT 1", None, original)


def of_sqlite(code: int) -> DBAPIError:
    error = sqlite3.OperationalError("refused")
    error.sqlite_errorcode = code
    return raised(error)


def test_every_sqlstate() -> None:
    """psycopg's classes are made from PostgreSQL's errcodes.txt."""

    states = {state for state in errors._sqlcodes if re.fullmatch("[0-9A-Z]{5}", state)}
    outages = {state for state in states if is_outage(raised(errors.lookup(state)()))}
    assert outages == set(POSTGRESQL.split()) & states
    assert len(states) > 200


def test_a_server_that_saves_its_last_transaction_ids_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """54000 is also what an index row that is too long gets."""
    error = errors.ProgramLimitExceeded()
    assert not is_outage(raised(error))
    diagnosis = SimpleNamespace(source_function="GetNewTransactionId")
    monkeypatch.setattr(errors.ProgramLimitExceeded, "diag", diagnosis)
    assert is_outage(raised(error))


def test_every_result_code_of_sqlite() -> None:
    outages = {getattr(sqlite3, f"SQLITE_{name}") for name in SQLITE.split()}
    others = {getattr(sqlite3, f"SQLITE_{name}") for name in OF_STATEMENTS.split()}
    primary = set(range(1, 27))
    assert outages | others == primary
    assert {code for code in primary if is_outage(of_sqlite(code))} == outages
    # Extended codes, such as SQLITE_IOERR_FSYNC and SQLITE_READONLY_DBMOVED, go by their primary.
    assert is_outage(of_sqlite(sqlite3.SQLITE_IOERR_FSYNC))
    assert is_outage(of_sqlite(sqlite3.SQLITE_READONLY_DBMOVED))


def written_by_a_primary(connection: Connection) -> str:
    """A note; refused as a standby refuses it where the session is named so."""
    connection.exec_driver_sql(
        "DO $$ BEGIN IF current_setting('application_name') = 'standby' THEN "
        "RAISE EXCEPTION 'cannot execute INSERT in a read-only transaction' USING ERRCODE = '25006'; END IF; END $$"
    )
    return note("written")(connection)


async def test_a_server_that_became_a_standby_is_left_for_the_one_that_writes(shared_postgres: str) -> None:
    """What is connected leads to the old server, as after a switch; only a new connection leads to the new one."""
    store = await Store.open(shared_postgres)
    try:
        await store.write(lambda connection: connection.exec_driver_sql("SET application_name = 'standby'"))
        with pytest.raises(Unavailable, match="read-only transaction"):
            await store.write(written_by_a_primary)
        assert await store.write(written_by_a_primary) == "written"
        assert await kept(store) == ["written"]
    finally:
        await store.close()
