"""PostgreSQL: what docs/operations.md says of `pg_dump` and `pg_restore`, done while orders come."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from gateway.assembly import process as app
from gateway.wire.hl7.mllp_client import MllpClient
from tests.journey.running import config_of
from tests.peers.postgres_database import postgres_database
from tests.peers.process import Completed, run
from tests.store.test_backup import order

BEFORE, BESIDE = 50, 150


@pytest.fixture
def programs(postgres_server: str) -> Path:
    """The folder of the server's own programs: those of another version may refuse its dump."""
    with psycopg.connect(postgres_server) as connection:
        [folder] = connection.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetchone() or ("",)
    return Path(str(folder))


async def send(gateway: app.Running, first: int, last: int) -> None:
    async with MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as ris:
        for number in range(first, last):
            assert b"MSA|AA|" in await ris.send(order(number))


async def restored(programs: Path, url: str, dump: Path) -> Completed:
    return await run(programs / "pg_restore", "--no-owner", "--exit-on-error", f"--dbname={url}", dump)


def orders_of(url: str) -> int:
    with psycopg.connect(url) as connection:
        [number] = connection.execute("SELECT count(*) FROM orders").fetchone() or (0,)
        return int(number)


async def test_a_gateway_starts_from_a_restored_dump(postgres_server: str, programs: Path, tmp_path: Path) -> None:
    """The dump is one moment of a database that serves; messages sent again do not double what it has."""
    dump = tmp_path / "gateway.dump"
    with postgres_database(postgres_server) as serving, postgres_database(postgres_server) as empty:
        async with app.running(config_of(serving)) as gateway:
            await send(gateway, 0, BEFORE)
            beside = asyncio.create_task(send(gateway, BEFORE, BEFORE + BESIDE))
            dumped = await run(programs / "pg_dump", "--format=custom", f"--file={dump}", serving)
            await beside
            assert dumped.returncode == 0, dumped.stderr
            refused = await restored(programs, serving, dump)
            assert refused.returncode == 1, "into a database that has tables nothing is restored"
        assert orders_of(serving) == BEFORE + BESIDE
        done = await restored(programs, empty, dump)
        assert done.returncode == 0, done.stderr
        assert BEFORE <= orders_of(empty) <= BEFORE + BESIDE
        async with app.running(config_of(empty)) as gateway:
            await send(gateway, 0, BEFORE + BESIDE + 1)
        assert orders_of(empty) == BEFORE + BESIDE + 1
