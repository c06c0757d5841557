"""Fixtures that every test may use: databases, store, clock, and a watch for calls that block the event loop."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gateway.store import Store
from tests import batches, busy_machine, compiled_pages, compiled_statements, made_tables
from tests.blocking import watch
from tests.peers import PLUGINS
from tests.peers.pgbouncer import pgbouncer
from tests.peers.postgres_database import empty, postgres_database

pytest_plugins = [
    *PLUGINS,
    "tests.journey.running",
    "tests.journey.intake",
    "tests.properties",
    "tests.shared",
    "tests.web.console_fixture",
]

compiled_statements.share()
compiled_pages.load()
batches.take_size()
busy_machine.be_patient()
gc.set_threshold(50_000)


def pytest_collection_finish() -> None:
    """Half a million objects of modules and tests live to the end: as in `gateway run`, they are not looked through."""
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if sizes := batches.counted():
        terminalreporter.write_line(sizes)


@pytest.fixture(scope="session")
def sqlite_template() -> Path:
    """A database file with our tables, to be copied."""
    return made_tables.sqlite_file()


@contextmanager
def postgres_tables(server: str) -> Iterator[tuple[str, psycopg.Connection]]:
    """A database with our tables, and a connection to it. Tests use it one after the other: to make one for each, or to
    truncate its tables, takes a tenth of a second of CPU."""
    with postgres_database(server) as url:
        made_tables.make(url)
        with psycopg.connect(url, autocommit=True) as connection, pooled(url) as address:
            yield address, connection


@contextmanager
def pooled(url: str) -> Iterator[str]:
    """The URL through a PgBouncer where a run of the tests has one (`make pooled`), else `url`."""
    if "POOLED" not in os.environ:
        yield url
        return
    with pgbouncer(url, pool_size=8) as peer:
        yield peer.url


@pytest.fixture(scope="session")
def _postgres_tables(postgres_server: str) -> Iterator[tuple[str, psycopg.Connection]]:
    with postgres_tables(postgres_server) as tables:
        yield tables


@pytest.fixture
def shared_postgres(_postgres_tables: tuple[str, psycopg.Connection]) -> str:
    """The URL of a PostgreSQL database with our tables, all of them empty, which nobody else is connected to."""
    url, connection = _postgres_tables
    empty(connection)
    return url


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of `gateway.db` in `tmp_path`, with our tables and without rows."""
    shutil.copy(sqlite_template, tmp_path / "gateway.db")
    return f"sqlite:///{tmp_path}/gateway.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database with our tables and without rows that is this test's alone, once of each kind."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "shared_postgres")
    return url


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = await Store.open(database_url)
    yield opened
    await opened.close()


class Time:
    """A clock that tests set by hand: microseconds, as `gateway.clock.now`."""

    def __init__(self) -> None:
        self.now = 1_900_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000)


@pytest.fixture
def clock() -> Time:
    return Time()


async def until(condition: Callable[[], object], *, seconds: float = 120.0, what: str = "the condition") -> None:
    """Wait until `condition` holds; fail when it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"{what} did not come true within {seconds} s")
        await asyncio.sleep(0.01)


async def comes_true(
    read: Callable[[], Awaitable[Any]], condition: Callable[[Any], object] = bool, *, seconds: float = 120.0
) -> Any:
    """Read until `condition` holds of what was read, which is returned; fail when it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not condition(found := await read()):
        if time.monotonic() > end:
            pytest.fail(f"after {seconds} s: {found}")
        await asyncio.sleep(0.02)
    return found


@pytest.fixture(scope="session", autouse=True)
def unblocked_loop() -> Iterator[None]:
    """A call from the gateway that blocks the event loop raises `BlockingError` where it stands."""
    blockbuster = watch()
    blockbuster.activate()
    yield
    blockbuster.deactivate()
