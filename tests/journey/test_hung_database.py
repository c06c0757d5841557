"""A database that hangs, its connections open and nothing answered: senders are refused in time, a stop ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psycopg

from gateway.assembly import process as app
from gateway.config.database import Database
from gateway.wire.hl7.mllp_client import MllpClient
from tests.journey.messages import orm
from tests.journey.modality import begin, modality_of
from tests.journey.running import config_of
from tests.peers.process import free_port

ANSWER_SECONDS = 3.0
REFUSED = "ended all the same"


@contextmanager
def frozen(server: str, url: str) -> Iterator[None]:
    """Stop the processes of PostgreSQL that serve a database, as a machine does that is paused with its connections."""
    name = url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(server) as connection:
        rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE datname = %s", [name]).fetchall()
    pids = [pid for (pid,) in rows]
    assert pids
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def test_senders_are_refused_in_time_and_served_afterwards(postgres_server: str, shared_postgres: str) -> None:
    config = config_of(shared_postgres, database=Database(url=shared_postgres, answer_seconds=ANSWER_SECONDS))
    async with app.running(config) as gateway, MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as ris:
        assert b"MSA|AA|" in await ris.send(orm())
        with frozen(postgres_server, shared_postgres):
            async with asyncio.timeout(30):
                assert b"MSA|AR|" in (answer := await ris.send(orm(control_id="2", accession="ACC2", placer="P2")))
                assert b"has not answered for 3 s" in answer
                assert (await modality_of(gateway).create(begin(), "2.25.77")).status == 0x0213
        again = await ris.send(orm(control_id="2", accession="ACC2", placer="P2"))
        assert b"MSA|AA|" in again
        assert (await modality_of(gateway).create(begin(), "2.25.77")).status == 0


@asynccontextmanager
async def gateway_process(folder: Path, url: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    port = free_port()
    settings = {
        "database": {"url": url, "answer_seconds": ANSWER_SECONDS},
        "hl7": {"listeners": [{"port": port}]}, "dicom": {"port": 0}, "http": {"port": 0},
    }  # fmt: skip
    (folder / "gateway.yaml").write_text(json.dumps(settings), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "run", "-c", str(folder / "gateway.yaml"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert (await process.stdout.readline()).startswith(b"ready")
        yield process, port
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_stop_ends_while_the_database_hangs(postgres_server: str, shared_postgres: str, tmp_path: Path) -> None:
    async with gateway_process(tmp_path, shared_postgres) as (process, port), MllpClient("127.0.0.1", port) as ris:
        assert b"MSA|AA|" in await ris.send(orm())
        with frozen(postgres_server, shared_postgres):
            assert b"MSA|AR|" in await ris.send(orm(control_id="2"))
            process.terminate()
            async with asyncio.timeout(60):
                _, log = await process.communicate()
        assert process.returncode == 1
        assert REFUSED.encode() in log
