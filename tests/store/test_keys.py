"""Keys in PostgreSQL: two processes that need the same ones in different order never wait for one another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack

import psycopg
from sqlalchemy import Connection

from gateway.store import Store
from gateway.store.engine import lock
from tests.store.notes import kept, note

SECONDS = 120.0
PAIRS = 5


def deadlocks(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        row = connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
        assert row is not None
        return int(row[0])


async def test_batches_of_two_processes_with_the_same_studies_crosswise(shared_postgres: str) -> None:
    """Both hold their first study before either asks for the second, in each round; PostgreSQL counts no deadlock."""
    before = deadlocks(shared_postgres)
    async with AsyncExitStack() as stack:
        stores = [await Store.open(shared_postgres) for _ in range(2)]
        for store in stores:
            stack.push_async_callback(store.close)
        for number in range(PAIRS):
            both = threading.Barrier(2)

            def unit(name: str, keys: list[str], both: threading.Barrier = both) -> Callable[[Connection], str]:
                runs = 0

                def work(connection: Connection) -> str:
                    nonlocal runs
                    runs += 1
                    note(name)(connection)
                    lock(connection, keys[0])
                    if runs == 1:
                        both.wait(SECONDS)
                    lock(connection, keys[1])
                    return name

                return work

            studies = [f"study|{number}.1", f"study|{number}.2"]
            names = await asyncio.gather(
                stores[0].write(unit(f"{number} a", studies)), stores[1].write(unit(f"{number} b", studies[::-1]))
            )
            assert tuple(names) == (f"{number} a", f"{number} b")
        assert sorted(await kept(stores[0])) == sorted(f"{number} {one}" for number in range(PAIRS) for one in "ab")
    assert deadlocks(shared_postgres) - before == 0
