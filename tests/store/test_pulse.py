"""Whether the database takes writing: proved by commits, asked for by a heartbeat, in the log once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from gateway.errors import Unavailable
from gateway.observe import metrics
from gateway.store import Store, engine, pulse
from gateway.store.outage_causes import NO_ANSWER
from gateway.store.pulse import AGAIN_SECONDS, FRESH_SECONDS, LONGEST_SECONDS, PATIENCE_SECONDS, Pulse
from tests.conftest import comes_true, until
from tests.store.notes import note

LOCKED = "another program holds the database locked"


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Database:
    """Takes heartbeats, or refuses them, or does not answer."""

    def __init__(self) -> None:
        self.beats: list[int] = []
        """Bytes of padding of each."""
        self.error: Exception | None = None
        self.answers = asyncio.Event()
        self.answers.set()

    async def __call__(self, padding: bytes) -> None:
        self.beats.append(len(padding))
        await self.answers.wait()
        if self.error is not None:
            raise self.error


async def test_a_commit_is_proof_and_spares_a_heartbeat() -> None:
    clock, database = Seconds(), Database()
    asked = Pulse(database, clock)
    assert await asked.ask() == ""
    for _ in range(10):
        clock.now += FRESH_SECONDS - 0.1
        asked.committed()
        if clock.now < LONGEST_SECONDS:
            assert await asked.ask() == ""
            assert len(database.beats) == 1
    assert await asked.ask() == ""
    assert len(database.beats) == 2, "others read the steady time of the row"


async def test_many_who_ask_share_one_heartbeat() -> None:
    clock, database = Seconds(), Database()
    asked = Pulse(database, clock)
    assert set(await asyncio.gather(*(asked.ask() for _ in range(50)))) == {""}
    clock.now += FRESH_SECONDS
    assert set(await asyncio.gather(*(asked.ask() for _ in range(50)))) == {""}
    assert database.beats == [0, 0]


async def test_an_outage_is_two_lines_of_log_and_ends_with_a_heartbeat_of_weight(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, database = Seconds(), Database()
    asked = Pulse(database, clock)
    await asked.ask()
    database.error = Unavailable("the database failed: x")
    for _ in range(50):
        asked.failed(database.error)
        assert await asked.ask() in ("", NO_ANSWER)
        clock.now += AGAIN_SECONDS / 10
    assert len(database.beats) < 10
    assert metrics.DATABASE_WRITABLE._value.get() == 0
    database.error = None
    asked.committed()  # a few bytes found room
    clock.now += AGAIN_SECONDS
    assert await asked.ask() == ""
    assert database.beats[-1] == pulse.PADDING
    assert metrics.DATABASE_WRITABLE._value.get() == 1
    assert caplog.messages == [
        f"nothing can be written to the database: {NO_ANSWER} (the database failed: x)",
        "the database is written to again after 5 s; 50 writes failed",
    ]


async def test_who_asks_while_the_database_hangs_waits_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "PATIENCE_SECONDS", 0.05)
    clock, database = Seconds(), Database()
    asked = Pulse(database, clock)
    database.answers.clear()
    assert await asked.ask() == NO_ANSWER
    clock.now += PATIENCE_SECONDS
    for _ in range(10):
        assert await asked.ask() == NO_ANSWER
    assert len(database.beats) == 1
    database.answers.set()
    await comes_true(asked.ask, lambda cause: cause == "")


async def test_a_locked_file(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LOCK_TIMEOUT_MS", 50)
    store = await Store.open(sqlite_url)
    other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        assert await store.pulse.ask() == LOCKED
        other.execute("ROLLBACK")
        await _well(store)
        await store.write(note("x"))
    finally:
        other.close()
        await store.close()


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """As a standby is, or a server that somebody made read-only. Sessions of others end: they keep what was set."""
    with psycopg.connect(url, autocommit=True) as connection:
        name = psycopg.sql.Identifier(connection.info.dbname)
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                           "WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip
        setting = psycopg.sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
        connection.execute(setting.format(name, psycopg.sql.Literal("on")))
        try:
            yield
        finally:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(psycopg.sql.SQL("ALTER DATABASE {} RESET ALL").format(name))
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                               "WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip


async def test_a_database_that_is_read_only(postgres_url: str) -> None:
    store = await Store.open(postgres_url)
    try:
        with read_only(postgres_url):
            store.pulse.failed(Unavailable("x"))
            assert await store.pulse.ask() == "the database is read-only"
        await _well(store)
    finally:
        await store.close()


async def _well(store: Store) -> None:
    """Wait until the pulse notices that the database takes writing."""
    causes = ["not asked"]

    async def ask() -> None:
        while causes[-1]:
            causes.append(await store.pulse.ask())
            await asyncio.sleep(0.05)

    task = asyncio.create_task(ask())
    await until(task.done, what="writing")
