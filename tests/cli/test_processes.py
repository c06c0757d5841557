"""`gateway run --processes`: two processes serve one set of ports; what one knows the other shows; either may die."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from bench.ports import free_port
from gateway.clock import now
from gateway.records.person import Role
from gateway.records.secret import digest_of
from gateway.simulators import modality, ris, studies
from gateway.simulators.ehr import EhrSimulator
from gateway.store import Store, users
from gateway.store.schema import messages, orders, performed_steps
from gateway.wire.hl7.mllp_client import MllpClient
from tests.commands import Command, gateway, served
from tests.conftest import comes_true, until
from tests.several_processes import HOST, Examinations, Ports, all_delivered, configuration, count, held, processes_of

PROCESSES = ("--processes", "2")
MOST_SENDERS = 40
"""One for each process is enough, where neither is so busy that it is passed over."""


@pytest.fixture
async def ehr() -> AsyncIterator[EhrSimulator]:
    async with EhrSimulator() as simulator:
        yield simulator


@pytest.fixture
async def running(tmp_path: Path, shared_postgres: str, ehr: EhrSimulator) -> AsyncIterator[Command]:
    (tmp_path / "gateway.yaml").write_text(configuration(shared_postgres, ehr.url), encoding="utf-8")
    async with served(tmp_path, *PROCESSES) as command:
        yield command


@pytest.fixture
async def store(running: Command, shared_postgres: str) -> AsyncIterator[Store]:
    opened = await Store.open(shared_postgres)
    yield opened
    await opened.close()


def runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def reloads(command: Command, process: int) -> int:
    """How often a process has reloaded."""
    return len(re.findall(rf"] reloaded: .* process={process}\n", command.errors))


async def test_both_processes_serve_every_port_and_a_stop_drains_both(
    running: Command, ehr: EhrSimulator, store: Store, tmp_path: Path
) -> None:
    ports = Ports(running.output)
    async with AsyncExitStack() as stack:
        senders, answered = 0, Counter[str]()
        for exam in ris.orders(700, MOST_SENDERS):
            sender = await stack.enter_async_context(MllpClient(HOST, ports.hl7))
            assert b"MSA|AA|" in await sender.send(exam.hl7())
            senders += 1
            # Both ask, of whom one is not the process that has answered the order.
            found = await asyncio.gather(
                *(modality.query(HOST, ports.dicom, accession_number=exam.accession_number) for _ in range(2))
            )
            assert [len(items) for items in found] == [1, 1]
            answered = await ports.counted("gateway_hl7_messages_total")
            if len(answered) == 2:
                break
        assert answered.total() == senders
        assert len(answered) == 2
        [item], _ = found
        step = await modality.begin(HOST, ports.dicom, item)
        study = studies.perform(item, series=1, instances=2)
        await modality.send(HOST, ports.dicom, study)
        await modality.end(HOST, ports.dicom, step, study)
        await all_delivered(store)
        assert held(ehr) == {f"urn:oid:{exam.study_uid}": 1}
        assert await count(store, performed_steps) == 1
        os.kill(processes_of(running.pid)[1], signal.SIGSTOP)
        hangs = "1 of 2 serve; process 1 answers; process 2 does not answer"
        await comes_true(lambda: ports.asked("/health/ready"), lambda ready: hangs in ready)
        assert 'gateway_process_answered{process="2"} 0.0' in await ports.asked("/metrics")
        os.kill(processes_of(running.pid)[1], signal.SIGCONT)
        ready = await comes_true(lambda: ports.asked("/health/ready"), lambda ready: "2 of 2 serve" in ready)
        assert f"port {ports.hl7}, {senders} connections" in ready
        file = tmp_path / "gateway.yaml"
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("quiet_seconds", "quite_seconds"), encoding="utf-8")
        running.signal(signal.SIGHUP)
        await until(lambda: "not reloaded" in running.errors, what="a fault")
        file.write_text(text, encoding="utf-8")
        await ports.asked("/api/reload", "POST")
        await until(lambda: reloads(running, 1) and reloads(running, 2), what="a reload of both")
        assert running.errors.count("not reloaded") == 1
        running.signal(signal.SIGTERM)
        assert await running.ended() == 0
        assert [running.errors.count(f"] stopped [gateway.cli.serving] process={one}") for one in (1, 2)] == [1, 1]
    with pytest.raises(OSError, match="refused"), socket.create_connection((HOST, ports.hl7)):
        pass


async def test_one_that_is_killed_loses_nothing_and_is_started_again(
    running: Command, ehr: EhrSimulator, store: Store
) -> None:
    ports = Ports(running.output)
    work = Examinations(ports, ris.orders(701, 16))
    working = asyncio.create_task(work.run(4))
    await until(lambda: work.done >= 4, what="work")
    victim, other = processes_of(running.pid)
    os.kill(victim, signal.SIGKILL)
    await until(lambda: f"process 1 (pid {victim}) was ended by signal 9 (SIGKILL)" in running.errors, what="the word")
    await until(lambda: len(processes_of(running.pid)) == 2, what="another process")
    [successor] = set(processes_of(running.pid)) - {other}
    os.kill(successor, signal.SIGSTOP)  # amid its start
    running.signal(signal.SIGHUP)
    await until(lambda: reloads(running, 2), what="a reload of who serves")
    os.kill(successor, signal.SIGCONT)
    await until(lambda: reloads(running, 1), what="a reload of who was starting")
    await working
    await comes_true(lambda: ports.asked("/health/ready"), lambda ready: "2 of 2 serve" in ready)
    await all_delivered(store)
    assert work.acknowledged == await count(store, orders) == await count(store, messages) == 16
    assert sorted(held(ehr).values()) == [1] * 16
    serving = processes_of(running.pid)
    running.signal(signal.SIGKILL)
    await until(lambda: not any(map(runs, serving)), what="the end of processes that nobody watches over")


async def test_the_link_of_the_first_admin_is_that_of_the_first_process(tmp_path: Path, shared_postgres: str) -> None:
    """A link ends the one before: of those that every process would make, the printed one would not open."""
    http = {"port": 0, "behind_proxy": [HOST]}
    (tmp_path / "gateway.yaml").write_text(configuration(shared_postgres, http=http), encoding="utf-8")
    async with served(tmp_path, *PROCESSES) as command:
        await until(lambda: "/password?link=" in command.output, what="the link")
        secret = command.output.partition("/password?link=")[2].split()[0]
        opened = await Store.open(shared_postgres)
        user = await opened.read(partial(users.of_link, digest=digest_of(secret), now=now()))
        await opened.close()
    assert user is not None
    assert user.role is Role.ADMIN


async def test_sqlite_is_for_one_process(tmp_path: Path, sqlite_url: str) -> None:
    (tmp_path / "gateway.yaml").write_text(configuration(sqlite_url), encoding="utf-8")
    ended = await gateway("run", *PROCESSES, folder=tmp_path)
    assert ended.returncode == 1
    assert "--processes: SQLite is for one process" in ended.stderr


async def test_what_keeps_all_from_starting_is_printed_once(tmp_path: Path, shared_postgres: str) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        text = configuration(shared_postgres, hl7={"listeners": [{"name": "ris", "port": port}]})
        (tmp_path / "gateway.yaml").write_text(text, encoding="utf-8")
        ended = await gateway("run", *PROCESSES, folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.count("cannot listen on") == 1
    away = configuration(f"postgresql://nobody@{HOST}:{free_port()}/none")
    (tmp_path / "gateway.yaml").write_text(away, encoding="utf-8")
    ended = await gateway("run", *PROCESSES, folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.count("Connection refused") == 1, ended.stderr
