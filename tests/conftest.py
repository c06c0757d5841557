"""Fixtures that every test may use: the databases, the store, the clock, a watch over the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.store import Store
from tests.peers import PLUGINS

pytest_plugins = [*PLUGINS, "tests.journey.running"]

BLOCKED_SECONDS = 2.0
"""A loop that does not turn for so long is blocked, on the slowest machine."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/gateway.db"
    url: str = request.getfixturevalue("postgres_url")
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


async def until(condition: Callable[[], object], *, seconds: float = 20.0, what: str = "the condition") -> None:
    """Wait until `condition` holds; fail when it does not within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"{what} did not come true within {seconds} s")
        await asyncio.sleep(0.01)


class Watch:
    """Measures how long the event loop stood still."""

    def __init__(self) -> None:
        self.worst = 0.0
        self.due = 0.0

    def begin(self) -> None:
        """Forget what fixtures did: starting a server may block the loop that nobody uses yet."""
        self.worst, self.due = 0.0, time.monotonic() + 0.05

    async def run(self) -> None:
        while True:
            self.due = time.monotonic() + 0.05
            await asyncio.sleep(0.05)
            self.worst = max(self.worst, time.monotonic() - self.due)


WATCH = Watch()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    WATCH.begin()


@pytest.fixture(autouse=True)
async def watched_loop() -> AsyncIterator[None]:
    """Fail a test that blocked the event loop."""
    task = asyncio.create_task(WATCH.run())
    yield
    task.cancel()
    assert WATCH.worst < BLOCKED_SECONDS, f"the event loop was blocked for {WATCH.worst:.1f} s"
