"""Statements that are run on the driver itself do what SQLAlchemy's would, and fail as they do."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from gateway.errors import Unavailable
from gateway.records.patient import Identity
from gateway.store import Store, patients
from gateway.store.outages import is_outage
from gateway.store.schema import patients as table
from gateway.store.statement import Statement, execute

TOLD = bindparam("told", type_=table.c.patient_id.type)
COUNT = Statement(select(func.count().label("rows"), TOLD.label("told")).select_from(table))


def add(connection: Connection, number: str = "P1") -> int:
    said: Any = {"PatientName": "Ω^`'\""}
    return patients.add(connection, Identity(number, "HOSP"), attributes=said, stamps={"": [1, 2]}, first_at=2, now=5)


async def test_what_is_written_is_read(database_url: str) -> None:
    store = await Store.open(database_url)
    row = await store.write(add)
    found = await store.read(lambda connection: patients.find(connection, Identity("P1", "HOSP")))
    plain = await store.read(lambda connection: dict(connection.execute(select(table)).mappings().one()))
    assert found == plain
    assert plain["id"] == row
    assert plain["attributes"] == {"PatientName": "Ω^`'\""}
    assert await store.read(lambda connection: COUNT.rows(connection, {"told": "x"})) == [{"rows": 1, "told": "x"}]
    await store.close()


async def test_a_unit_that_fails_takes_back_what_it_ran(database_url: str) -> None:
    store = await Store.open(database_url)

    def fails(connection: Connection) -> None:
        add(connection)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.write(fails)
    assert await store.read(lambda connection: patients.find(connection, Identity("P1", "HOSP"))) is None
    await store.close()


async def test_nothing_runs_outside_a_transaction(database_url: str) -> None:
    """Whoever opens a connection by himself and leaves it has changed nothing."""
    store = await Store.open(database_url)
    with store.engine.connect() as connection:
        add(connection)
        assert connection.in_transaction()
    assert await store.read(lambda connection: patients.find(connection, Identity("P1", "HOSP"))) is None
    await store.close()


async def test_a_reader_cannot_write(database_url: str) -> None:
    store = await Store.open(database_url)
    with pytest.raises(Unavailable, match=r"read-?only"):
        await store.read(add)
    await store.close()


async def test_errors_are_those_of_sqlalchemy(database_url: str) -> None:
    store = await Store.open(database_url)
    await store.write(add)
    with pytest.raises(IntegrityError) as twice:
        await store.write(add)
    assert not is_outage(twice.value)
    with pytest.raises(DBAPIError):
        await store.write(lambda connection: execute(connection, "SELECT no_such_thing"))
    assert "Ω" not in str(twice.value), "errors are logged; values are not for the log"
    await store.close()
