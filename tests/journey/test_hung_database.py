"""A database that hangs, its connections open and nothing answered: senders are refused in time, a stop ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import aiohttp
import psycopg
import pytest

from bench.ports import free_port
from gateway.assembly import process as app
from gateway.config.database import Database
from gateway.config.http import Facade
from gateway.errors import Rejected
from gateway.simulators import modality
from gateway.web import dicomweb
from gateway.wire.hl7.mllp_client import MllpClient
from tests import commands
from tests.conftest import comes_true
from tests.journey.messages import orm
from tests.journey.modality import begin, modality_of
from tests.journey.running import config_of
from tests.journey.test_study_findings import image
from tests.peers.silent_proxy import silent_proxy

ANSWER_SECONDS = 2.0
WAYS = ("paused", "swallowed")
QUICK = "FAULTS" not in os.environ
"""`make faults` runs all."""
REFUSED = "ended all the same"


def _stat(pid: int) -> list[str]:
    """State of a process, its parent, and so on (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()


@contextmanager
def frozen(server: str) -> Iterator[None]:
    """Stop all processes of PostgreSQL, as a machine does that is paused with its connections."""
    with psycopg.connect(server) as connection:
        backend = connection.info.backend_pid
        postmaster = int(_stat(backend)[1])
    pids = [postmaster]
    try:
        # First, so that it begins no other process while the others are stopped.
        os.kill(postmaster, signal.SIGSTOP)
        while _stat(postmaster)[0] != "T":
            pass
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
        pids += map(int, children)
        for pid in pids[1:]:
            with contextlib.suppress(ProcessLookupError):  # the backend of a connection that was just closed
                os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def hanging(
    how: str, server: str, url: str
) -> AsyncIterator[tuple[str, Callable[[], AbstractContextManager[None]]]]:
    """(URL, what lets its database hang for a while): its processes are paused, or what they say is swallowed."""
    if how == "paused":
        yield url, lambda: frozen(server)
        return
    async with silent_proxy(url) as proxy:
        yield proxy.url, proxy.swallowing


async def statuses(gateway: app.Running) -> dict[str, int]:
    """What each kind of HTTP client is answered."""
    paths = (
        "/",
        "/health/ready",
        "/metrics",
        "/api/studies/2.25.9",
        "/fhir/ImagingStudy",
        f"{dicomweb.PATH}/modality-scheduled-procedure-steps",
    )
    async with aiohttp.ClientSession(f"http://127.0.0.1:{gateway.http_port}") as session:

        async def status(path: str) -> int:
            async with session.get(path) as answer:
                return answer.status

        return dict(zip(paths, await asyncio.gather(*map(status, paths)), strict=True))


async def is_stored(gateway: app.Running) -> bool:
    try:
        return await modality.send("127.0.0.1", gateway.dicom_port, [image()]) == 1
    except Rejected:
        return False


@pytest.mark.parametrize("how", WAYS[:1] if QUICK else WAYS)
async def test_senders_are_refused_in_time_and_served_afterwards(
    how: str, postgres_server: str, shared_postgres: str, tmp_path: Path
) -> None:
    """Whoever asks, over each protocol, and a command; nobody waits for longer than the limit, and none is lost."""
    async with hanging(how, postgres_server, shared_postgres) as (url, hang):
        config = config_of(url, database=Database(url=url, answer_seconds=ANSWER_SECONDS), facade=Facade(enabled=True))
        async with app.running(config) as gateway, MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as ris:
            # A busy machine may take longer than the limit here, too.
            await comes_true(partial(ris.send, orm()), lambda answer: b"MSA|AA|" in answer)
            before = await comes_true(lambda: statuses(gateway), lambda found: 503 not in found.values())
            with hang():
                async with asyncio.timeout(120):
                    answer, created, stored, found, asked = await asyncio.gather(
                        ris.send(orm(control_id="2", accession="ACC2", placer="P2")),
                        modality_of(gateway).create(begin(), "2.25.77"),
                        asyncio.gather(
                            modality.send("127.0.0.1", gateway.dicom_port, [image()]), return_exceptions=True
                        ),
                        asyncio.gather(modality.query("127.0.0.1", gateway.dicom_port), return_exceptions=True),
                        statuses(gateway),
                    )
                assert b"MSA|AR|" in answer
                assert b"no answer for 2 s" in answer or b"has not answered for 2 s" in answer
                assert created.status == 0x0213
                assert "A700" in str(stored[0])
                assert "C001" in str(found[0])
                assert {path: status for path, status in asked.items() if status != 503} == {"/metrics": 200}
            # A busy machine may take longer than the limit once more.
            again = partial(ris.send, orm(control_id="2", accession="ACC2", placer="P2"))
            await comes_true(again, lambda answer: b"MSA|AA|" in answer)
            create = partial(modality_of(gateway).create, begin(), "2.25.77")
            await comes_true(create, lambda answer: answer.status == 0)
            await comes_true(partial(is_stored, gateway))
            # Readiness follows with the next heartbeat.
            await comes_true(lambda: statuses(gateway), lambda found: found == before)


@pytest.mark.parametrize("how", WAYS[1:] if QUICK else WAYS)
async def test_commands_end_while_the_database_hangs(
    how: str, postgres_server: str, shared_postgres: str, tmp_path: Path
) -> None:
    """Also the start of a gateway, and a change of the schema."""
    async with hanging(how, postgres_server, shared_postgres) as (url, hang):
        settings = {
            "database": {"url": f"{url}&connect_timeout=2", "answer_seconds": ANSWER_SECONDS},
            "http": {"port": 0},
        }
        (tmp_path / "gateway.yaml").write_text(json.dumps(settings), encoding="utf-8")
        with hang():
            async with asyncio.timeout(120):
                for command in (("parked",), ("check",), ("run",), ("db", "upgrade")):
                    ended = await commands.gateway(*command, folder=tmp_path)
                    assert ended.returncode == 1, command
                    assert "database" in ended.stderr
                    assert any(text in ended.stderr for text in ("timeout", "answer")), ended.stderr


async def test_a_stop_ends_while_the_database_hangs(postgres_server: str, shared_postgres: str, tmp_path: Path) -> None:
    port = free_port()
    settings = {
        "database": {"url": shared_postgres, "answer_seconds": ANSWER_SECONDS},
        "hl7": {"listeners": [{"port": port}]}, "dicom": {"port": 0}, "http": {"port": 0},
    }  # fmt: skip
    (tmp_path / "gateway.yaml").write_text(json.dumps(settings), encoding="utf-8")
    async with commands.served(tmp_path) as process, MllpClient("127.0.0.1", port) as ris:
        await comes_true(partial(ris.send, orm()), lambda answer: b"MSA|AA|" in answer)
        with frozen(postgres_server):
            assert b"MSA|AR|" in await ris.send(orm(control_id="2"))
            process.signal(signal.SIGTERM)
            assert await process.ended() == 0, process.errors


async def test_a_stop_that_does_not_end_is_ended() -> None:
    """A disk that hangs holds a thread for ever, and no thread can be ended."""
    stuck = "from gateway.cli.serving import _end_within; import threading; _end_within(0.2); threading.Event().wait()"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", stuck, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(120):
        _, log = await process.communicate()
    assert process.returncode == 1
    assert REFUSED.encode() in log
