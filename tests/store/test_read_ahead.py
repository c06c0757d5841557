"""What a transaction looks for at once is what each of its units would have found by itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, insert

import gateway
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.patient import Identity
from gateway.records.row_ids import PatientRow
from gateway.store import Store, absences, early, order_book, patients, read_ahead
from gateway.store.absences import KINDS, Key
from gateway.store.key_look import CONDITIONS
from gateway.store.order_book import Numbers
from gateway.store.read_ahead import Asked, asked
from gateway.store.schema import studies
from tests.one_transaction import at_once
from tests.store.round_trips import writing

T = TypeVar("T")
NO_TABLE = ("SCAN CONSTANT ROW", "SCAN json_each VIRTUAL TABLE")
MUSTER, OTHER = Identity("P1", "HOSP"), Identity("P1", "OTHER")


def asks(*keys: Key, locks: Sequence[str] = ()) -> Asked:
    found = asked(keys, lambda: locks)
    assert found is not None
    return found


def add(connection: Connection, identity: Identity = MUSTER) -> PatientRow:
    return patients.add(connection, identity, attributes={}, stamps={}, first_at=1, now=1)


def is_there(connection: Connection, identity: Identity = MUSTER) -> bool:
    return patients.find(connection, identity) is not None


def is_absent(connection: Connection, identity: Identity = MUSTER) -> bool:
    return absences.are_absent(connection, (patients.key_of(identity),))


async def together(store: Store, *units: tuple[Callable[[Connection], Any], Asked | None]) -> list[Any]:
    """Run units in one transaction, in this order."""
    return await at_once(store, *(store.write(unit, wanted) for unit, wanted in units))


async def test_what_no_row_has_is_not_asked_for_again(database_url: str) -> None:
    store = await Store.open(database_url)

    def look(connection: Connection) -> tuple[bool, bool]:
        return is_absent(connection), is_absent(connection, OTHER)

    assert await store.write(look, asks(patients.key_of(MUSTER))) == (True, False)
    assert await store.write(look) == (False, False)
    await store.write(add)
    assert await store.write(look, asks(patients.key_of(MUSTER), patients.key_of(OTHER))) == (False, True)
    await store.close()


async def test_what_a_unit_writes_the_next_finds(database_url: str) -> None:
    store = await Store.open(database_url)
    wanted = asks(patients.key_of(MUSTER), patients.key_of(OTHER))
    results = await together(store, (is_there, wanted), (add, wanted), (is_there, wanted), (is_absent, wanted))
    assert [bool(result) for result in results] == [False, True, True, False]
    assert await store.write(partial(is_absent, identity=OTHER), wanted)
    await store.close()


async def test_what_a_unit_takes_back_is_asked_for(database_url: str) -> None:
    store = await Store.open(database_url)

    def fails(connection: Connection) -> None:
        add(connection)
        raise ValueError("no")

    wanted = asks(patients.key_of(MUSTER))
    failed, there = await together(store, (fails, wanted), (is_there, wanted))
    assert isinstance(failed, ValueError)
    assert there is False
    await store.close()


async def test_a_row_that_sqlalchemy_writes_ends_what_was_noted_of_its_table(database_url: str) -> None:
    store = await Store.open(database_url)
    uid = StudyInstanceUID("2.25.1")
    plain = {str: "", int: 0, bool: False}
    row = {
        column.name: plain.get(column.type.python_type, {})
        for column in studies.columns
        if not (column.nullable or column.primary_key or column.server_default is not None)
    }

    def arrive(connection: Connection) -> bool:
        before = absences.are_absent(connection, early.keys_of(uid, AccessionNumber("")))
        connection.execute(insert(studies), {**row, "study_uid": uid})
        return before

    def look(connection: Connection) -> tuple[Any, ...]:
        return early.of_order(connection, study_uid=uid, accession_number=AccessionNumber("")).studies

    wanted = asks(*early.keys_of(uid, AccessionNumber("")), patients.key_of(MUSTER))
    assert await together(store, (arrive, wanted), (look, wanted), (is_absent, wanted)) == [True, (uid,), True]
    await store.close()


async def test_numbers_of_an_order_are_found_by_any_of_them(database_url: str) -> None:
    store = await Store.open(database_url)
    wanted = Numbers(StudyInstanceUID("2.25.1"), "F1", "", AccessionNumber("A1"), "")

    def look(connection: Connection) -> bool:
        return absences.are_absent(connection, wanted.keys) and order_book.find(connection, wanted) == []

    assert await store.write(look, asks(*wanted.keys))
    assert not await store.write(look, asks(*wanted.keys[:-1]))
    assert [key[0] for key in wanted.keys] == ["study", "filler", "accession"]
    await store.close()


async def test_the_next_user_of_a_connection_knows_nothing(database_url: str) -> None:
    store = await Store.open(database_url)

    def keep(connection: Connection) -> dict[Any, Any]:
        return connection.info

    info = await store.write(keep, asks(patients.key_of(MUSTER)))
    await store.close()
    assert "absences" not in info


async def test_two_gateways_add_what_both_looked_for_once(shared_postgres: str) -> None:
    """Each holds what it asks for before it looks: whoever comes second finds the row of the first."""
    stores = [await Store.open(shared_postgres) for _ in range(2)]
    wanted = [
        asks(patients.key_of(one), locks=(patients.lock_of(one),))
        for one in (Identity(f"Q{number}", "HOSP") for number in range(20))
    ]

    def add_once(connection: Connection, identity: Identity) -> bool:
        patients.hold(connection, identity)
        if is_there(connection, identity):
            return False
        add(connection, identity)
        return True

    units = [(partial(add_once, identity=Identity(one.keys[0][1], "HOSP")), one) for one in wanted]
    added = await asyncio.gather(together(stores[0], *units), together(stores[1], *units[::-1]))
    assert [sum(pair) for pair in zip(added[0], added[1][::-1], strict=True)] == [1] * len(units)
    for store in stores:
        await store.close()


@pytest.mark.parametrize("text", ["A\0", "\ud800", "A" * (read_ahead.MOST_CHARACTERS + 1)], ids=["NUL", "half", "long"])
def test_what_a_database_refuses_is_left_to_the_unit(text: str) -> None:
    assert asked([("accession", text, "")], lambda: ()) is None
    assert asked([("accession", "Ä1", "")], lambda: ()) is not None


@pytest.mark.parametrize("number", [1, 2])
async def test_each_key_is_looked_for_by_an_index(sqlite_url: str, number: int) -> None:
    store = await Store.open(sqlite_url)
    wanted = [asks(*((kind, f"A{one}", "B") for kind in CONDITIONS)) for one in range(number)]

    def plan(connection: Connection) -> list[str]:
        sent: list[tuple[str, Any]] = []
        raw: Any = connection.connection.dbapi_connection
        raw.set_trace_callback(lambda sql: sent.append((sql, ())))
        read_ahead.begin(connection, frozenset(), wanted)
        raw.set_trace_callback(None)
        return [row[-1] for sql, _ in sent for row in raw.execute(f"EXPLAIN QUERY PLAN {sql}")]

    lines = await store.write(plan)
    await store.close()
    assert len([line for line in lines if line.startswith("SEARCH")]) >= len(CONDITIONS)
    assert [line for line in lines if line.startswith("SCAN") and not line.startswith(NO_TABLE)] == []


def test_each_table_that_is_looked_into_ends_what_was_noted_when_it_is_written() -> None:
    for kind, condition in CONDITIONS.items():
        for table in re.findall(r"FROM (\w+)", condition):
            assert kind in KINDS[table], (kind, table)


def test_no_sql_text_writes_these_tables() -> None:
    """A text would pass by what ends the notes; `connection.execute` and `Statement` do not."""
    writes = re.compile(rf"(INSERT INTO|UPDATE) ({'|'.join(KINDS)})\b")
    folder = Path(gateway.__file__).parent
    texts = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.py") if "migrations" not in path.parts}
    assert [str(path) for path, text in texts.items() if writes.search(text)] == []


async def test_units_that_ask_are_looked_for_by_one_statement(sqlite_url: str) -> None:
    store = await Store.open(sqlite_url)
    sent: list[str] = []
    (await writing(store)).set_trace_callback(sent.append)
    wanted = [Identity(f"P{number}", "HOSP") for number in range(17)]
    units = [(partial(is_there, identity=one), asks(patients.key_of(one))) for one in wanted]
    assert await together(store, *units) == [False] * 17
    await store.close()
    assert len([sql for sql in sent if sql.startswith("SELECT")]) == 1
