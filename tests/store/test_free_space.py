"""Space of a file: what is deleted is overwritten, and its pages go back to the disk."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import insert, text

from gateway.store import Store, free_space
from gateway.store.engine import open_engine
from gateway.store.schema import refusals

SECRET = b"Mustermann-4711"


def rows(number: int) -> list[dict[str, object]]:
    return [
        {"refused_at": 1, "source": "s", "reason": "r", "body": SECRET * 100, "calling_ae": ""} for _ in range(number)
    ]


async def test_a_new_file_is_shortened_beside_the_work_and_keeps_nothing_of_what_was_deleted(tmp_path: Path) -> None:
    file = tmp_path / "gateway.db"
    store = await Store.open(f"sqlite:///{file}")
    await store.write(lambda connection: connection.execute(insert(refusals), rows(2_000)).rowcount)
    full = await store.read(free_space.measured)
    assert full is not None
    assert full.can_shrink
    await store.write(lambda connection: connection.execute(text("DELETE FROM refusals WHERE id > 10")).rowcount)
    while await store.write(lambda connection: free_space.give_back(connection, 500)):
        pass
    await store.write(lambda connection: connection.execute(text("DELETE FROM refusals")).rowcount)
    await store.close()
    assert await asyncio.to_thread(free_space.truncate_log, file)
    assert file.stat().st_size < full.bytes / 3
    left = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    assert SECRET not in left


def test_an_older_file_is_made_so_by_compacting(tmp_path: Path) -> None:
    file = tmp_path / "gateway.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA secure_delete=OFF")
        connection.execute("CREATE TABLE t (a)")
        connection.executemany("INSERT INTO t VALUES (?)", [(SECRET * 100,)] * 1_000)
        connection.commit()
        connection.execute("DELETE FROM t")
        connection.commit()
    assert SECRET in file.read_bytes(), "an older program left it there"
    before, after = free_space.compact(file)
    assert after < before / 3
    assert SECRET not in file.read_bytes()
    engine = open_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        measured = free_space.measured(connection)
    engine.dispose()
    assert measured is not None
    assert measured.can_shrink
