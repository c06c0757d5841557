"""An audit repository that is away while orders arrive: intake goes on as before, the state shows what waits, and all
of it is sent afterwards.

`FAULTS_AWAY_SECONDS`: how long the repository is away; `FAULTS_AWAY_ORDERS`: orders each second.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from bench.ports import free_port
from gateway.simulators import ris
from gateway.wire.hl7.mllp_client import MllpClient
from tests.conftest import until
from tests.faults.whole_gateway import WholeGateway, running
from tests.peers.openssl import Authority
from tests.peers.process import run
from tests.peers.syslog import SyslogReceiver, tls_receiver

SECONDS = float(os.environ.get("FAULTS_AWAY_SECONDS", "180"))
ORDERS_A_SECOND = float(os.environ.get("FAULTS_AWAY_ORDERS", "20"))
BESIDE_SECONDS = min(SECONDS, 60.0)
"""Before and after."""
CONNECTIONS = 4
ON_ITS_WAY = 10 * ORDERS_A_SECOND
"""Events that wait while the repository takes them."""
LAST_EVENTS = 3
"""The state was looked at, the gateway stopped, its trail was exported."""
SENT_AGAIN = 200
"""At most, of a connection that broke: the batch on its way and the one before, of which nothing was known."""


@dataclass
class Load:
    """Orders at a steady pace, whether or not those before were answered, until `ended`."""

    port: int
    taken: list[tuple[float, float]] = field(default_factory=list)
    """When an order was due, and the seconds from then to its acknowledgement."""
    refused: list[bytes] = field(default_factory=list)
    ended: bool = False

    async def run(self) -> None:
        begun, numbers, orders = time.monotonic(), count(), ris.orders(7, 10**9)

        async def connection() -> None:
            async with MllpClient("127.0.0.1", self.port, timeout=60) as client:
                while not self.ended:
                    message, due = next(orders).hl7(), begun + next(numbers) / ORDERS_A_SECOND
                    await asyncio.sleep(max(due - time.monotonic(), 0))
                    answer = await client.send(message)
                    self.taken.append((due, time.monotonic() - due))
                    if b"MSA|AA|" not in answer:
                        self.refused.append(answer)

        await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))

    def figures(self, first: float, end: float) -> str:
        """Of the orders that were due in this time."""
        took = sorted(1_000 * seconds for due, seconds in self.taken if first <= due < end)
        if not took:
            return "no orders"
        return f"{len(took)} orders, p50 {took[len(took) // 2]:.1f} ms, p99 {took[len(took) * 99 // 100]:.1f} ms"


async def repository_part(gateway: WholeGateway) -> dict[str, Any]:
    """What the state tells of the repository, with its facts by name."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{gateway.http}/api/state") as answer:
        parts: list[dict[str, Any]] = (await answer.json())["parts"]
    [part] = [part for part in parts if part["kind"] == "audit"]
    return part | {fact["name"]: fact["value"] for fact in part["facts"]}


async def until_sent(gateway: WholeGateway, waiting: float) -> dict[str, Any]:
    """Wait until the repository is there and no more than so many events wait."""
    async with asyncio.timeout(120 + SECONDS):
        while (part := await repository_part(gateway))["level"] != "good" or part["events waiting"] > waiting:
            await asyncio.sleep(0.5)
    return part


def memory_of(gateway: WholeGateway) -> int:
    """Resident memory in MiB."""
    pages = int(Path(f"/proc/{gateway.process.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


@asynccontextmanager
async def loaded(gateway: WholeGateway) -> AsyncIterator[Load]:
    load = Load(gateway.hl7)
    task = asyncio.create_task(load.run())
    try:
        yield load
    finally:
        load.ended = True
        await task
    assert load.refused == []


async def test_orders_are_taken_and_every_event_arrives_afterwards(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued, receiver, port = authority.issue("siem"), SyslogReceiver(), free_port()
    repository = {"name": "siem", "host": "localhost", "port": port, "tls": {"ca": str(authority.certificate)}}
    settings = {"audit": {"repositories": [repository]}}
    async with running(tmp_path / "gateway", f"sqlite:///{tmp_path}/gateway.db", settings) as gateway:
        async with loaded(gateway) as load:
            async with tls_receiver(issued, port=port, receiver=receiver):
                await until(lambda: load.taken and receiver.messages, what="the first orders and events")
                begun = time.monotonic()
                await asyncio.sleep(BESIDE_SECONDS)
            print(f"\nbefore:      {load.figures(begun, time.monotonic())}; memory {memory_of(gateway)} MiB")
            await away(gateway, load)
            async with tls_receiver(issued, port=port, receiver=receiver):
                await back(gateway, load)
                load.ended = True
                await until_sent(gateway, 0)
        gateway.stop()
    await every_event_arrived(gateway, receiver, load)


async def away(gateway: WholeGateway, load: Load) -> None:
    begun = time.monotonic()
    await asyncio.sleep(SECONDS)
    part = await repository_part(gateway)
    assert part["level"] in ("warn", "bad")
    assert part["detail"].startswith("is away: ")
    assert part["events waiting"] >= SECONDS * ORDERS_A_SECOND / 2
    figures = load.figures(begun, time.monotonic())
    print(f"away {SECONDS:.0f} s:  {figures}; memory {memory_of(gateway)} MiB")
    print(f"the state:   {part['level']}, {part['detail']}, {part['events waiting']} events waiting")


async def back(gateway: WholeGateway, load: Load) -> None:
    begun = time.monotonic()
    part = await until_sent(gateway, ON_ITS_WAY)
    caught_up = time.monotonic()
    assert part["events never sent"] == 0
    print(f"sending:     {load.figures(begun, caught_up)}; all was sent after {caught_up - begun:.1f} s")
    await asyncio.sleep(BESIDE_SECONDS)
    print(f"afterwards:  {load.figures(caught_up, time.monotonic())}; memory {memory_of(gateway)} MiB")


async def every_event_arrived(gateway: WholeGateway, receiver: SyslogReceiver, load: Load) -> None:
    """All that the trail has is at the repository, but for what happened while the gateway ended."""
    exported = await run(
        sys.executable, "-m", "gateway", "audit", "export", "--format", "dicom",
        "-c", gateway.folder / "gateway.yaml", gateway.folder / "trail", timeout=600,
    )  # fmt: skip
    assert exported.returncode == 0, exported.stderr
    trail = (gateway.folder / "trail").read_bytes().splitlines()
    times = Counter(body.strip() for body in receiver.bodies)
    missing = [line for line in trail if line not in times]
    assert len(missing) <= LAST_EVENTS, missing[:5]
    assert set(times) <= set(trail)
    orders = sum(b"Order Record" in line for line in trail)
    assert orders == len(load.taken)
    again = times.total() - len(times)
    assert again <= SENT_AGAIN
    print(f"the trail:   {len(trail)} events, {orders} of them orders")
    print(f"repository:  all but the last {len(missing)} events, {again} of them twice")
