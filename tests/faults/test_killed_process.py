"""kill -9 of one process of several while orders, queries and images come and studies go to an EHR: each order that had
its AA is there once and in the next answer to a scanner, each study is at the EHR once. `FAULTS_EXAMINATIONS` and
`FAULTS_PROCESS_KILLS`: how many."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path
from typing import Final

from gateway.simulators import ris
from gateway.simulators.ehr import EhrSimulator
from gateway.store import Store
from gateway.store.schema import messages, orders
from tests.commands import served
from tests.conftest import until
from tests.several_processes import Examinations, Ports, all_delivered, configuration, count, held, processes_of

EXAMINATIONS: Final = int(os.environ.get("FAULTS_EXAMINATIONS", "600"))
KILLS: Final = int(os.environ.get("FAULTS_PROCESS_KILLS", "12"))
PROCESSES: Final = 3
SENDERS: Final = 8
PATIENT_SECONDS: Final = 600.0


async def test_processes_are_killed_under_load(tmp_path: Path, shared_postgres: str) -> None:
    dice = random.Random(20)
    async with EhrSimulator() as ehr:
        (tmp_path / "gateway.yaml").write_text(configuration(shared_postgres, ehr.url), encoding="utf-8")
        async with served(tmp_path, "--processes", str(PROCESSES)) as command:
            ports = Ports(command.output)
            work = Examinations(ports, ris.orders(720, EXAMINATIONS))
            working = asyncio.create_task(work.run(SENDERS))
            for number in range(KILLS):
                enough = (number + 1) * EXAMINATIONS // (KILLS + 2)
                await until(lambda enough=enough: work.done >= enough, seconds=PATIENT_SECONDS)  # type: ignore[misc]
                victim = dice.choice(processes_of(command.pid))
                os.kill(victim, signal.SIGKILL)
                await until(lambda victim=victim: victim not in processes_of(command.pid))  # type: ignore[misc]
            await working
            await until(lambda: len(processes_of(command.pid)) == PROCESSES, what="all processes again")
            store = await Store.open(shared_postgres)
            await all_delivered(store)
            kept = [await count(store, table) for table in (orders, messages)]
            await store.close()
            print(f"{work.lost} times a connection was lost, {KILLS} processes were killed")
            assert work.acknowledged == EXAMINATIONS
            assert kept == [EXAMINATIONS, EXAMINATIONS]
            assert sorted(held(ehr).values()) == [1] * EXAMINATIONS
            command.signal(signal.SIGTERM)
            assert await command.ended() == 0
