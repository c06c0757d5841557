"""Three gateways on one PostgreSQL that hangs, crashes, takes no writes, has no connections left, and fails over.

Senders go on all the while; after each fault the seconds until an order is accepted again are printed, and at the end
what was acknowledged is held against the worklists, the EHR and the database. `FAULTS_ORDERS`: orders each second;
`FAULTS_ANSWER`: `database.answer_seconds`, more where other work keeps the machine busy.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bench.night.load import Load
from bench.night.model import KINDS, Attempt, Model
from bench.night.node import Node, settings_of
from bench.night.verdict import verdict
from gateway.simulators.ehr import EhrSimulator
from tests import made_tables
from tests.conftest import comes_true, until
from tests.faults.postgres_cluster import Cluster, cluster
from tests.peers.pgbouncer import pgbouncer

ORDERS_A_SECOND: Final = float(os.environ.get("FAULTS_ORDERS", "2"))
ANSWER_SECONDS: Final = float(os.environ.get("FAULTS_ANSWER", "6"))
LASTS_SECONDS: Final = ANSWER_SECONDS + 4.0
"""Of a fault: longer than the gateways wait for an answer."""
CALM_SECONDS: Final = 5.0
PATIENT_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    begin: Callable[[], None]
    end: Callable[[], None] = lambda: None
    seconds: float = LASTS_SECONDS


def faults_of(server: Cluster) -> list[Fault]:
    return [
        Fault("SIGSTOP", server.hang, server.go_on),
        Fault("immediate restart", server.restart, seconds=0),
        Fault("away", server.die, server.start),
        Fault(
            "read-only",
            partial(server.set, default_transaction_read_only="on"),
            partial(server.set, default_transaction_read_only="off"),
        ),
        Fault("no connections", server.take_all_connections, server.let_connections_go),
    ]


@dataclass(frozen=True, slots=True)
class Scene:
    model: Model
    nodes: Sequence[Node]
    load: Load


def _node(number: int, folder: Path, url: str, ehr: EhrSimulator) -> Node:
    node = Node(f"node{number}", folder, url, ehr.url)
    settings = settings_of(node)
    settings["database"]["answer_seconds"] = ANSWER_SECONDS
    settings["hl7"]["listeners"][0]["conformance"] = "off"
    node.configuration.write_text(json.dumps(settings), encoding="utf-8")
    return node


@asynccontextmanager
async def scene(folder: Path, url: str, ehr: EhrSimulator) -> AsyncIterator[Scene]:
    """Three gateways under load."""
    nodes = [_node(number, folder, url, ehr) for number in range(3)]
    model = Model()
    load = Load(nodes, model, ORDERS_A_SECOND)
    kept: list[asyncio.Task[None]] = []
    try:
        for node in nodes:
            kept.append(asyncio.create_task(node.keep()))
        for node in nodes:
            await node.ready(PATIENT_SECONDS)
        yield Scene(model, nodes, load)
    finally:
        await load.stop()
        for task in kept:
            task.cancel()
        await asyncio.gather(*kept, return_exceptions=True)


def taken(model: Model, since: float, kind: str, node: str = "") -> list[Attempt]:
    """Requests that began after `since` and were answered as they should be."""
    return [
        one for one in model.attempts
        if one.kind == kind and not one.failure and one.at > since and node in ("", one.node)
    ]  # fmt: skip


async def suffer(scene: Scene, fault: Fault) -> None:
    """Let a fault happen, and print when each kind of request is served again, and orders by all gateways."""
    model, nodes = scene.model, scene.nodes
    begun = time.monotonic()
    await asyncio.to_thread(fault.begin)
    await asyncio.sleep(fault.seconds)
    await asyncio.to_thread(fault.end)
    ended = time.monotonic()
    for node in nodes:
        await until(
            partial(taken, model, ended, "order", node.name), seconds=PATIENT_SECONDS, what=f"an order at {node.name}"
        )
    for kind in KINDS:
        await until(partial(taken, model, ended, kind), seconds=PATIENT_SECONDS, what=f"a {kind} after {fault.name}")
    first = {kind: taken(model, ended, kind)[0].at - ended for kind in KINDS}
    everywhere = max(taken(model, ended, "order", node.name)[0].at - ended for node in nodes)
    refused = len(model.failures(lambda one: one.at > begun))
    kinds = ", ".join(f"{kind} {seconds:.1f} s" for kind, seconds in first.items())
    print(
        f"{fault.name} for {ended - begun:.1f} s: served again after {kinds}; by each gateway {everywhere:.1f} s;"
        f" {refused} refused or not answered"
    )
    await asyncio.sleep(CALM_SECONDS)


async def play(folder: Path, url: str, faults: Sequence[Fault]) -> None:
    async with EhrSimulator() as ehr, scene(folder, url, ehr) as played:
        going = asyncio.create_task(played.load.run())
        await until(partial(taken, played.model, 0.0, "image"), seconds=PATIENT_SECONDS, what="an image")
        try:
            for fault in faults:
                await suffer(played, fault)
        finally:
            going.cancel()
        async with asyncio.timeout(PATIENT_SECONDS):
            await played.load.done()
        ask = partial(verdict, played.model, list(played.nodes), ehr, url)
        found = await comes_true(ask, lambda found: not found.waiting, seconds=PATIENT_SECONDS)
        print(f"{len(played.model.orders)} orders, {len(played.model.studies)} studies: {found}")
        assert (found.lost, found.doubled, found.stale, found.waiting) == ([], [], [], [])


async def test_what_was_acknowledged_is_there_once(tmp_path: Path) -> None:
    with cluster() as server:
        await asyncio.to_thread(made_tables.make, server.own_url)
        end = [
            Fault("a standby is added", server.add_standby, seconds=0),
            Fault("failover to the standby", server.fail_over, seconds=0),
        ]
        await play(tmp_path, server.url, [*faults_of(server), *end])


async def test_the_same_behind_pgbouncer(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        server = stack.enter_context(cluster())
        await asyncio.to_thread(made_tables.make, server.own_url)
        peer = stack.enter_context(pgbouncer(server.own_url, pool_size=8))
        await play(tmp_path, peer.url, [*faults_of(server), Fault("PgBouncer killed", peer.kill, peer.start)])
