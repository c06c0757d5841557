"""Rows that go to the database later: whoever looks finds them, and each unit answers for its own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from gateway.errors import Unavailable
from gateway.records.audit import GATEWAY, Action, AuditEvent, AuditKind
from gateway.records.message import MessageState
from gateway.records.patient import Identity
from gateway.records.row_ids import MessageRow, PatientRow
from gateway.store import Store, messages, patients
from gateway.store.audit import record
from gateway.store.schema import messages as message_rows
from gateway.store.schema import patients as patient_rows
from tests.store.round_trips import counted, writing
from tests.store.test_read_ahead import MUSTER, OTHER, add, asks, is_there, together

ASKS = asks(patients.key_of(MUSTER), patients.key_of(OTHER))
COUNT = select(func.count()).select_from(patient_rows)


def keep(connection: Connection, body: bytes = b"MSH|") -> MessageRow:
    return messages.add(
        connection, received_at=1, listener="ris", peer="", sender="RIS|", control_id="1", type="ORM^O01",
        digest=b"1", body=body, state=MessageState.APPLIED, ack_code="AA", ack=b"", findings=[],
    )  # fmt: skip


async def test_rows_of_all_units_go_in_one_statement(sqlite_url: str) -> None:
    store = await Store.open(sqlite_url)
    sent: list[str] = []
    (await writing(store)).set_trace_callback(sent.append)
    units = [(lambda connection, n=n: add(connection, Identity(f"P{n}", "HOSP")), ASKS) for n in range(16)]
    rows = await together(store, *units)
    assert rows == list(range(1, 17))
    assert len([sql for sql in sent if sql.startswith("INSERT INTO patients")]) == 1
    assert await store.read(lambda connection: connection.execute(COUNT).scalar_one()) == 16
    await store.close()


async def test_a_transaction_of_postgresql_takes_three_round_trips(shared_postgres: str, tmp_path: Path) -> None:
    """To begin, hold the keys and look, for all rows and the events of the audit trail, and to commit."""
    store = await Store.open(shared_postgres)
    event = AuditEvent(AuditKind.ORDER_RECORD, Action.CREATE, 1, GATEWAY)

    def unit(connection: Connection, number: int) -> MessageRow:
        add(connection, Identity(f"P{number}", "HOSP"))
        record(connection, event)
        return keep(connection)

    wanted = asks(patients.key_of(MUSTER), locks=["patient|HOSP|P1"])
    with counted(await writing(store), tmp_path / "protocol") as sent:
        rows = await together(store, *((partial(unit, number=number), wanted) for number in range(16)))
    assert rows == sorted(rows)
    await store.close()
    assert sent.waits == ["Sync", "Sync", "Query"]
    assert len([line for line in sent.lines if "INSERT INTO" in line]) == 1


async def test_values_of_all_kinds_come_back(database_url: str) -> None:
    store = await Store.open(database_url)
    texts = ["", "\"'\\ \t\r\n {} [] %s :x", "Müller^山田 \N{GRINNING FACE}", "null"]
    bodies = [b"", bytes(range(256)), b"\\x41", b"MSH|"]

    def unit(connection: Connection, number: int) -> MessageRow:
        return messages.add(
            connection, received_at=2**53 + number, listener=texts[number], peer="", sender="RIS|", control_id="1",
            type="ORM^O01", digest=bodies[number], body=bodies[number], state=MessageState.APPLIED, ack_code="AA",
            ack=b"", findings=[{"place": texts[number], "text": "1"}], unserved=bool(number % 2),
        )  # fmt: skip

    rows = await together(store, *((partial(unit, number=number), ASKS) for number in range(4)))
    for number, row in enumerate(rows):
        kept = await store.read(lambda connection, row=row: messages.get(connection, row))  # type: ignore[misc]
        assert kept is not None
        assert (kept["received_at"], kept["listener"], bytes(kept["body"])) == (
            2**53 + number,
            texts[number],
            bodies[number],
        )
        assert (kept["findings"], kept["unserved"]) == ([{"place": texts[number], "text": "1"}], bool(number % 2))
        assert kept["put_away_at"] is None
    await store.close()


async def test_a_value_that_no_database_can_hold_is_the_fault_of_its_unit(database_url: str) -> None:
    """Also of a unit that fails for another reason, and is taken back before the value is sent."""
    store = await Store.open(database_url)

    def fail(connection: Connection) -> None:
        add(connection, Identity("\ud800", "OTHER"))
        raise LookupError

    one, odd, failed, other = await together(
        store,
        (add, ASKS),
        (lambda connection: add(connection, Identity("\ud800", "HOSP")), ASKS),
        (fail, ASKS),
        (lambda connection: add(connection, OTHER), ASKS),
    )
    assert isinstance(failed, LookupError)
    assert isinstance(odd, (TypeError, ValueError))
    assert isinstance(one, int)
    assert isinstance(other, int)
    assert await store.read(lambda connection: connection.execute(COUNT).scalar_one()) == 2
    await store.close()


async def test_events_that_the_database_does_not_take_are_its_failure_to_each_unit(shared_postgres: str) -> None:
    store = await Store.open(shared_postgres)
    event = AuditEvent(AuditKind.ORDER_RECORD, Action.CREATE, 1, GATEWAY)

    def rename(connection: Connection, before: str, after: str) -> None:
        connection.execute(text(f"ALTER TABLE {before} RENAME TO {after}"))

    await store.write(partial(rename, before="audit_waiting", after="audit_away"))
    try:
        units = [(lambda connection: record(connection, event), ASKS) for _ in range(2)]
        failures = await together(store, *units)
    finally:
        await store.write(partial(rename, before="audit_away", after="audit_waiting"))
        await store.close()
    assert [type(failure) for failure in failures] == [Unavailable, Unavailable]


@pytest.mark.parametrize("look", ["statement", "sqlalchemy"])
async def test_who_looks_finds_what_was_added_before(database_url: str, look: str) -> None:
    store = await Store.open(database_url)

    def add_and_look(connection: Connection) -> bool:
        row = add(connection)
        if look == "statement":
            return patients.get(connection, row) is not None
        return connection.execute(COUNT).scalar_one() == 1

    assert await store.write(add_and_look, ASKS)
    await store.close()


async def test_a_row_that_the_database_refuses_is_the_fault_of_its_unit(database_url: str) -> None:
    store = await Store.open(database_url)
    one, again, other = await together(
        store, (add, ASKS), (add, ASKS), (lambda connection: add(connection, OTHER), ASKS)
    )
    assert isinstance(again, IntegrityError)
    for identity, row in ((MUSTER, one), (OTHER, other)):
        found = await store.read(lambda connection, who=identity: patients.find(connection, who))  # type: ignore[misc]
        assert found is not None
        assert found["id"] == row
    await store.close()


async def test_a_unit_alone_fails_with_the_error_of_its_row(database_url: str) -> None:
    store = await Store.open(database_url)
    await store.write(add)

    def add_again(connection: Connection) -> None:
        add(connection)

    with pytest.raises(IntegrityError):
        await store.write(add_again, ASKS)
    assert await store.write(is_there, ASKS)
    await store.close()


async def test_a_unit_that_fails_takes_its_rows_back(database_url: str) -> None:
    store = await Store.open(database_url)

    def fails(connection: Connection) -> None:
        add(connection, OTHER)
        raise ValueError("no")

    _, failed, there = await together(
        store, (add, ASKS), (fails, ASKS), (lambda connection: is_there(connection, OTHER), ASKS)
    )
    assert isinstance(failed, ValueError)
    assert there is False
    assert await store.read(is_there)
    await store.close()


async def test_a_savepoint_takes_back_what_was_added_since(database_url: str) -> None:
    store = await Store.open(database_url)

    def half(connection: Connection) -> None:
        add(connection)
        with connection.begin_nested() as savepoint:
            add(connection, OTHER)
            savepoint.rollback()

    await store.write(half, ASKS)
    assert await store.read(is_there)
    assert not await store.read(lambda connection: is_there(connection, OTHER))
    await store.close()


async def test_keys_that_the_database_gives_meanwhile_are_not_given_again(database_url: str) -> None:
    store = await Store.open(database_url)

    def plainly(connection: Connection) -> None:
        values = {
            "patient_id": "P9", "issuer": "", "attributes": {}, "stamps": {}, "former": [], "name_key": "",
            "given_key": "", "merged_at": 0, "first_at": 1, "arrivals": [], "updated_at": 1,
        }  # fmt: skip
        connection.execute(insert(patient_rows), values)

    first, _, other = await together(
        store, (add, ASKS), (plainly, None), (lambda connection: add(connection, OTHER), ASKS)
    )
    assert isinstance(first, int), first
    assert isinstance(other, int), other
    assert await store.read(lambda connection: connection.execute(COUNT).scalar_one()) == 3
    await store.close()


async def test_a_long_message_goes_at_once_and_keeps_its_place(database_url: str) -> None:
    store = await Store.open(database_url)
    long = b"MSH|" + bytes(messages.LONG_BODY)
    rows = await together(store, (keep, ASKS), (lambda connection: keep(connection, long), ASKS), (keep, ASKS))
    assert rows == sorted(set(rows))
    lengths = select(func.length(message_rows.c.body)).order_by(message_rows.c.id)
    assert await store.read(lambda connection: list(connection.execute(lengths).scalars())) == [4, len(long), 4]
    await store.close()


async def test_more_rows_than_keys(database_url: str) -> None:
    """PostgreSQL gives so many keys beforehand; what a unit adds beyond them gets its key at once."""
    store = await Store.open(database_url)

    def many(connection: Connection) -> list[PatientRow]:
        return [add(connection, Identity(f"P{number}", "")) for number in range(40)]

    rows = await store.write(many, ASKS)
    assert len(set(rows)) == 40
    ids = select(patient_rows.c.id).order_by(patient_rows.c.patient_id)
    found = await store.read(lambda connection: list(connection.execute(ids).scalars()))
    assert found == [row for _, row in sorted(zip((f"P{number}" for number in range(40)), rows, strict=True))]
    await store.close()
