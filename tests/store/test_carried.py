"""What a connection carries for one transaction is gone in the next, however the first ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.records.audit import GATEWAY, Action, AuditEvent, AuditKind
from gateway.records.patient import Identity
from gateway.store import Store, audit, patients
from gateway.store.carried import carried
from gateway.store.engine import lock
from gateway.store.schema import audit as audit_rows
from gateway.store.schema import audit_waiting
from gateway.store.schema import patients as patient_rows
from gateway.store.writer import announce
from tests.store.test_read_ahead import MUSTER, OTHER, add, asks, is_absent, is_there, together
from tests.store.test_writer import _terminate as terminate

ASKS = asks(patients.key_of(MUSTER), patients.key_of(OTHER))
EVENT = AuditEvent(AuditKind.AUDIT_LOG_USED, Action.READ, 1, GATEWAY)
THIRD = Identity("P3", "HOSP")


def leave(connection: Connection) -> None:
    """Leave a row, an event, a key and a call of the worker that are not sent yet."""
    assert is_absent(connection)
    lock(connection, "study|1")
    add(connection)
    audit.record(connection, EVENT)
    announce(connection)


def refused(connection: Connection) -> None:
    leave(connection)
    raise ValueError("the unit is at fault")


def refused_by_the_database(connection: Connection) -> None:
    leave(connection)
    connection.exec_driver_sql("INSERT INTO nothing VALUES (1)")


def left(connection: Connection) -> dict[str, Any]:
    """What a transaction finds of others, without what each begins with."""
    state = dict(carried(connection))
    pending, keys, foreseen = state.pop("pending"), state.pop("keys"), state.pop("foreseen")
    assert not foreseen.rows
    assert not pending.rows
    assert not pending.keys
    assert not keys._asked
    return {name: value for name, value in state.items() if value}


async def kept(store: Store) -> tuple[int, int]:
    """How many patients and events the database has."""

    def count(connection: Connection) -> tuple[int, int]:
        rows = [len(connection.execute(table.select()).all()) for table in (patient_rows, audit_rows, audit_waiting)]
        return rows[0], rows[1] + rows[2]

    return await store.read(count)


@pytest.mark.parametrize("unit", [refused, refused_by_the_database])
async def test_a_unit_alone_leaves_nothing(database_url: str, unit: Callable[[Connection], None]) -> None:
    store = await Store.open(database_url)
    with pytest.raises(Exception, match=r"at fault|nothing"):
        await store.write(unit, ASKS)
    assert await store.write(left) == {}
    assert await kept(store) == (0, 0)
    await store.close()


@pytest.mark.parametrize("unit", [refused, refused_by_the_database])
async def test_a_unit_in_a_batch_leaves_the_others_theirs(
    database_url: str, unit: Callable[[Connection], None]
) -> None:
    store = await Store.open(database_url)

    def other(connection: Connection) -> bool:
        add(connection, OTHER)
        audit.record(connection, EVENT)
        return is_there(connection)

    first, failed, last = await together(
        store, (lambda connection: add(connection, THIRD), ASKS), (unit, ASKS), (other, ASKS)
    )
    assert isinstance(first, int)
    assert isinstance(failed, Exception)
    assert last is False, "the row that was taken back is there"
    assert await store.write(left) == {}
    assert await kept(store) == (2, 1)
    await store.close()


async def test_a_connection_that_is_lost_takes_all_with_it(shared_postgres: str) -> None:
    store = await Store.open(shared_postgres)

    def cut(connection: Connection) -> None:
        leave(connection)
        terminate(shared_postgres, connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        connection.exec_driver_sql("SELECT 1")

    failed = await together(store, (lambda connection: add(connection, THIRD), ASKS), (cut, ASKS), (leave, ASKS))
    assert all(isinstance(one, Exception) for one in failed)
    assert await store.write(left) == {}
    assert await kept(store) == (0, 0)
    await store.close()
