"""A database that grows: from SQLite to PostgreSQL with every row, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, insert, select, text, update

from gateway.errors import ConfigError
from gateway.store import Store, migrations
from gateway.store.copying import copy
from gateway.store.engine import open_engine
from gateway.store.schema import messages, metadata, outbox
from tests.web.served import NINE, add_message, whole_journey


@pytest.fixture
async def source(sqlite_url: str) -> Engine:
    store = await Store.open(sqlite_url)
    await store.write(whole_journey)
    await store.close()
    return open_engine(sqlite_url)


@pytest.fixture
def target(postgres_url: str) -> Iterator[Engine]:
    engine = open_engine(postgres_url)
    yield engine
    engine.dispose()


def rows(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    with engine.connect() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
            for table in metadata.sorted_tables
        }


async def test_every_row_arrives_and_the_gateway_goes_on(source: Engine, target: Engine, postgres_url: str) -> None:
    progress: list[tuple[str, int, int]] = []
    note = lambda *step: progress.append(step)  # noqa: E731
    copied = await asyncio.to_thread(copy, source, target, on_progress=note)
    before = rows(source)
    assert rows(target) == before
    assert copied.rows == {name: len(of_table) for name, of_table in before.items()}
    assert ("outbox", 1, 1) in progress
    store = await Store.open(postgres_url)
    assert await store.write(add_message) == copied.rows["messages"] + 1
    await store.close()


async def test_a_target_with_rows_is_refused(source: Engine, target: Engine, postgres_url: str) -> None:
    store = await Store.open(postgres_url)
    await store.write(add_message)
    await store.close()
    with pytest.raises(ConfigError, match="the target is not empty: messages has rows"):
        await asyncio.to_thread(copy, source, target)


async def test_what_fails_leaves_nothing_behind(source: Engine, target: Engine) -> None:
    with source.begin() as connection:
        connection.execute(text("PRAGMA foreign_keys=OFF"))
        connection.execute(update(outbox).values(attempts=2**40))
    with pytest.raises(Exception, match="out of range"):
        await asyncio.to_thread(copy, source, target)
    assert not any(rows(target).values())


async def test_nul_becomes_a_character_that_postgresql_keeps(source: Engine, target: Engine) -> None:
    with source.begin() as connection:
        connection.execute(update(messages).values(control_id="C\0" + "1"))
    copied = await asyncio.to_thread(copy, source, target)
    assert copied.replaced == 1
    with target.connect() as connection:
        assert connection.execute(select(messages.c.control_id)).scalar() == "C\ufffd1"


async def test_other_schemas_and_other_ways_are_refused(source: Engine, target: Engine) -> None:
    with pytest.raises(ConfigError, match="from an SQLite file to PostgreSQL"):
        await asyncio.to_thread(copy, target, source)
    with source.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(ConfigError, match=f"the schema of the source is 0001, {migrations.newest()} is needed"):
        await asyncio.to_thread(copy, source, target)


def test_a_row_of_each_kind_of_value(sqlite_url: str, target: Engine) -> None:
    """Bytes, booleans and empty values are not what the drivers make of them on the way."""
    source = open_engine(sqlite_url)
    body = bytes(range(256))
    row = {
        "received_at": NINE, "listener": "ris\\N\t", "peer": "\\.", "sender": "", "control_id": "é\n", "type": "",
        "digest": b"", "body": body, "state": "applied", "ack_code": "AA", "ack": b"\\x00", "unserved": True,
        "findings": [{"text": "\0 tab\t"}],
    }  # fmt: skip
    with source.begin() as connection:
        connection.execute(insert(messages), row)
    copy(source, target)
    assert rows(target)["messages"] == rows(source)["messages"]
    source.dispose()
