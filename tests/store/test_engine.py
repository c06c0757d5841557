"""Opening a database: durable, private, and refused with the cure when it cannot be."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from gateway.errors import ConfigError, Unavailable
from gateway.store import Store, engine
from gateway.store.driver import begin_late, limit_statements
from gateway.store.engine import open_engine
from tests.store.notes import kept, note, noted


async def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
        await store.write(note("a patient"))
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("gateway.db", "gateway.db-wal", "gateway.db-shm"), 0o600)
    await store.close()


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("sqlite://", "would forget orders"),
        ("sqlite:///:memory:", "would forget orders"),
        ("sqlite:////no/such/folder/gateway.db", "the folder /no/such/folder does not exist"),
        ("postgresql://user:hunter2@host:many/db", "is not an address such as"),
        ("no address", "is not an address such as"),
    ],
)
async def test_an_address_that_cannot_be_is_refused(url: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        await Store.open(url)
    assert str(caught.value).startswith("database.url: ")
    assert "hunter2" not in str(caught.value)


async def test_the_log_is_cut_back_after_a_long_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WAL_BYTES", 64 * 1024)
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    log = tmp_path / "gateway.db-wal"
    with store.engine.connect() as fresh:
        reader = engine.begin_reading(fresh)
        before = noted(reader)
        for number in range(8):
            await store.write(note(f"{number}" * 1024 * 1024))
        assert noted(reader) == before
        assert log.stat().st_size > 8 * 1024 * 1024
    for number in range(2):
        await store.write(note(f"after {number}"))
    assert log.stat().st_size <= 64 * 1024
    await store.close()


async def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        await Store.open(f"sqlite:///{tmp_path}")


async def test_another_file_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    path.write_bytes(b"%PDF-1.7" * 1000)
    with pytest.raises(ConfigError, match=r"database.url: the database refuses to serve: file is not a database"):
        await Store.open(f"sqlite:///{path}")
    assert path.read_bytes() == b"%PDF-1.7" * 1000


async def test_a_server_that_is_away_is_an_outage() -> None:
    with pytest.raises(Unavailable, match="Connection refused") as caught:
        await Store.open("postgresql://someone:hunter2@127.0.0.1:1/gateway")
    assert "hunter2" not in str(caught.value)


async def test_a_database_that_does_not_exist_is_named(shared_postgres: str) -> None:
    missing = shared_postgres.replace("/test_", "/no_such_store_")
    with pytest.raises((Unavailable, ConfigError), match="no_such_store_"):
        await Store.open(missing)


async def test_what_the_address_says_is_kept(shared_postgres: str) -> None:
    store = await Store.open(f"{shared_postgres}&options=-c%20application_name%3Dradiology&connect_timeout=120")

    def settings(connection: object) -> list[str]:
        names = ("application_name", "synchronous_commit", "lock_timeout")
        return [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]  # type: ignore[attr-defined]

    assert await store.read(settings) == ["radiology", "on", "10s"]
    await store.close()


async def test_what_our_statements_rely_on_is_not_the_server_s_default(shared_postgres: str) -> None:
    defaults = "-c%20bytea_output%3Descape%20-c%20default_transaction_isolation%3Dserializable"
    store = await Store.open(f"{shared_postgres}&options={defaults}")

    def settings(connection: Connection) -> list[object]:
        names = ("bytea_output", "transaction_isolation")
        return [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]

    assert await store.write(settings) == ["hex", "read committed"]
    await store.close()


async def test_a_default_of_the_server_to_take_no_writes_is_heeded(shared_postgres: str) -> None:
    """By connections that have been read on too."""
    store = await Store.open(f"{shared_postgres}&options=-c%20default_transaction_read_only%3Don")
    assert await kept(store) == []
    with pytest.raises(Unavailable, match="read-only transaction"):
        await store.write(note("one"))
    assert await kept(store) == []
    await store.close()


async def test_what_is_committed_is_there_after_the_next_start(database_url: str) -> None:
    store = await Store.open(database_url)
    await store.write(note("one"))
    await store.close()
    store = await Store.open(database_url)
    assert await kept(store) == ["one"]
    await store.close()


def test_an_engine_does_not_print_values(database_url: str) -> None:
    engine = open_engine(database_url)
    assert engine.hide_parameters
    engine.dispose()


def test_two_who_open_a_new_file_at_one_moment(tmp_path: Path) -> None:
    for number in range(30):
        url, both = f"sqlite:///{tmp_path / str(number)}.db", Barrier(2)

        def opened(url: str = url, both: Barrier = both) -> None:
            engine = open_engine(url)
            both.wait()
            with engine.connect() as connection:
                assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            engine.dispose()

        with ThreadPoolExecutor(2) as threads:
            for done in [threads.submit(opened), threads.submit(opened)]:
                done.result()


def test_a_connection_whose_limit_cannot_be_set_is_closed(shared_postgres: str) -> None:
    """Else it would come back from the pool in autocommit, and commit each statement of a transaction by itself."""
    opened = open_engine(shared_postgres, answer_seconds=60.0)
    with opened.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        with pytest.raises(DBAPIError) as raised:
            limit_statements(connection, -1.0)
        assert raised.value.connection_invalidated
        assert raw.closed
    opened.dispose()


def test_a_connection_that_begins_late_is_in_transactions_and_goes_back_as_it_was(shared_postgres: str) -> None:
    opened = open_engine(shared_postgres)
    with opened.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        begin_late(connection)
        with connection.begin() as transaction:
            connection.execute(text("CREATE TABLE late (id integer)"))
            transaction.rollback()
        with connection.begin():
            pass
        limit_statements(connection, 30.0)
        with connection.begin():
            assert connection.execute(text("SELECT to_regclass('late')")).scalar() is None
            assert connection.execute(text("SHOW statement_timeout")).scalar() == "25s"
            assert raw.info.transaction_status is TransactionStatus.INTRANS
    with opened.connect() as connection:
        again: Any = connection.connection.dbapi_connection
        assert again is raw
        assert not again.autocommit
    opened.dispose()


def test_a_transaction_that_cannot_begin_is_given_up(shared_postgres: str) -> None:
    """Else what follows would be committed statement by statement."""
    opened = open_engine(shared_postgres)
    with opened.connect() as connection:
        begin_late(connection)
        raw: Any = connection.connection.dbapi_connection
        raw.prepare_threshold = 0
        with connection.begin():
            connection.execute(text("SELECT 1"))
        raw.pgconn.exec_(b"DEALLOCATE ALL")
        with pytest.raises(DBAPIError), connection.begin():
            connection.execute(text("SELECT 1"))
        assert raw.closed
    opened.dispose()
