"""`gateway run --processes`: two processes serve one set of ports; what one knows the other shows; either may die."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import Table, func, select

from gateway.simulators import modality, ris, studies
from gateway.simulators.ehr import EhrSimulator
from gateway.store import Store, outbox_claims
from gateway.store.schema import messages, orders, performed_steps
from gateway.wire.hl7.mllp_client import MllpClient
from tests.commands import Command, gateway, served
from tests.conftest import comes_true, until
from tests.several_processes import HOST, Examinations, Ports, all_delivered, configuration, held, processes_of

PROCESSES = ("--processes", "2")


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


async def count(store: Store, table: Table) -> int:
    number = select(func.count()).select_from(table)
    return int(await store.read(lambda connection: connection.execute(number).scalar_one()))


async def test_both_processes_serve_every_port_and_a_stop_drains_both(
    running: Command, ehr: EhrSimulator, store: Store
) -> None:
    ports = Ports(running.output)
    exams = list(ris.orders(700, 4))
    async with AsyncExitStack() as stack:
        senders = [await stack.enter_async_context(MllpClient(HOST, ports.hl7)) for _ in range(2)]
        for number, exam in enumerate(exams):
            assert b"MSA|AA|" in await senders[number % 2].send(exam.hl7())
            # Both ask, of whom one is not the process that has answered the order.
            found = await asyncio.gather(
                *(modality.query(HOST, ports.dicom, accession_number=exam.accession_number) for _ in range(2))
            )
            assert [len(items) for items in found] == [1, 1]
        assert await ports.counted("gateway_hl7_messages_total") == {"1": 2, "2": 2}
        [item], _ = found
        step = await modality.begin(HOST, ports.dicom, item)
        study = studies.perform(item, series=1, instances=2)
        await modality.send(HOST, ports.dicom, study)
        await modality.end(HOST, ports.dicom, step, study)
        await all_delivered(store)
        assert held(ehr) == {f"urn:oid:{exams[-1].study_uid}": 1}
        assert await count(store, performed_steps) == 1
        ready = await ports.asked("/health/ready")
        assert f"port {ports.hl7}, 2 connections" in ready
        assert "2 of 2 serve" in ready
        await ports.asked("/api/reload", "POST")
        await until(lambda: running.errors.count("reloaded: mappings") == 2, what="a reload of both")
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
    await working
    await until(lambda: len(processes_of(running.pid)) == 2, what="another process")
    assert other in processes_of(running.pid)
    await comes_true(lambda: ports.asked("/health/ready"), lambda ready: "2 of 2 serve" in ready)
    # What the process had in hand waits for the end of its lease: for a minute, which is over now.
    await store.write(outbox_claims.release_all)
    await all_delivered(store)
    assert work.acknowledged == await count(store, orders) == await count(store, messages) == 16
    assert sorted(held(ehr).values()) == [1] * 16


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
    away = configuration(f"postgresql://nobody@{HOST}:{port}/none")
    (tmp_path / "gateway.yaml").write_text(away, encoding="utf-8")
    ended = await gateway("run", *PROCESSES, folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.count("Connection refused") == 1, ended.stderr
