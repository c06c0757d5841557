"""Studies that grow, delivered by two gateways on one PostgreSQL to a FHIR server behind a proxy that loses answers.

What counts is what the server holds in the end: each study once, and as it was last. Writes per study tell the price.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web
from pydicom.dataset import Dataset
from sqlalchemy import Engine, text
from yarl import URL

from bench import gateway_process, postgres
from bench.figures import Report, Table, at_most
from bench.made_studies import made_study, study_uid
from gateway.assembly.mappings import load_mappings
from gateway.config.tree import Config
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study import Study
from gateway.simulators import modality
from gateway.store import studies
from gateway.store.engine import open_engine
from gateway.wire.fhir.sameness import says_the_same

SERVER: Final = Path(__file__).parent.parent / "tests/peers/ehr/server.mjs"
VERSIONS: Final = 3
SENDERS: Final = 4
LIMIT_SECONDS: Final = 1800.0
DROPPED_BEFORE, DROPPED_AFTER, TURNED_AWAY = 0.05, 0.05, 0.10
"""Shares of the requests that are lost on their way, whose answers are lost, and that are answered 429 or 503."""
CASES: Final = {
    "auto": ("auto", ""),
    "client_id": ("client_id", ""),
    "conditional_update": ("conditional_update", ""),
    "conditional_create": ("conditional_create", ""),
    "transaction": ("transaction", ""),
    "search": ("search", ""),
    "plain": ("auto", "plain-"),
}
"""Name -> `ehrs[].write` and the kind of server: a plain one serves no conditional operations."""


@dataclass
class Traffic:
    """What went through the proxy."""

    random: random.Random
    requests: Counter[str] = field(default_factory=Counter)
    """By method, of what reached the server."""
    faults: Counter[str] = field(default_factory=Counter)

    def fault(self) -> str:
        drawn = self.random.random()
        for name, share in (("before", DROPPED_BEFORE), ("after", DROPPED_AFTER), ("away", TURNED_AWAY)):
            if drawn < share:
                return name
            drawn -= share
        return ""


@asynccontextmanager
async def proxy(target: str, traffic: Traffic) -> AsyncIterator[str]:
    """Forwards to `target`, but for what `traffic` draws."""
    hop_by_hop = ("Host", "Content-Length", "Connection", "Transfer-Encoding", "Content-Encoding", "Accept-Encoding")

    async def forward(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fault = traffic.fault()
        traffic.faults[fault] += 1
        if fault == "away":
            status = traffic.random.choice((429, 503))
            return web.Response(status=status, text="<html>busy</html>", headers={"Retry-After": "1"})
        if fault != "before":
            headers = {key: one for key, one in request.headers.items() if key not in hop_by_hop}
            address = URL(f"{target}{request.raw_path}", encoded=True)
            async with session.request(request.method, address, data=body or None, headers=headers) as answer:
                content = await answer.read()
                traffic.requests[request.method if answer.status < 300 else f"{request.method} {answer.status}"] += 1
                if not fault:
                    kept = {key: one for key, one in answer.headers.items() if key not in hop_by_hop}
                    return web.Response(status=answer.status, body=content, headers=kept)
        if request.transport is not None:  # the gateway that was killed has gone by itself
            request.transport.abort()
        return web.Response()

    page = web.Application(client_max_size=2**26)
    page.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(page, access_log=None, shutdown_timeout=1.0)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


@contextmanager
def fhir_server() -> Iterator[str]:
    """Medplum's router over its memory repository, in Node."""
    process = subprocess.Popen(["node", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        if "listening on " not in said:
            raise RuntimeError("the FHIR server did not start; run: make peers")
        yield said.split("listening on ")[1].strip()
    finally:
        process.terminate()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def run(*, count: int, cases: list[str]) -> Report:
    """`count` studies, each in three versions, for each of `cases`."""
    rows, targets = [], []
    for name in cases:
        row, wrong = asyncio.run(_case(name, count))
        rows.append(row)
        targets.append(at_most(f"{name}: studies missing, doubled or not up to date", "studies", 0, float(wrong)))
    header = (
        "write", "studies", "in the EHR", "up to date", "parked", "deliveries", "superseded", "writes/study",
        "other requests/study", "lost before", "lost after", "429, 503", "s",
    )  # fmt: skip
    title = (
        f"{count:,} studies of {VERSIONS} versions, two gateways on PostgreSQL (one killed on the way), a FHIR server "
        f"behind a proxy that drops {DROPPED_BEFORE:.0%} before and {DROPPED_AFTER:.0%} after, and turns away "
        f"{TURNED_AWAY:.0%}"
    )
    return Report([Table(title, header, rows)], targets)


async def _case(name: str, count: int) -> tuple[tuple[str, ...], int]:
    write, kind = CASES[name]
    traffic = Traffic(random.Random(f"faults {name}"))
    begun = time.monotonic()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-faults-")))
        server = f"{stack.enter_context(fhir_server())}/{kind}bench"
        database, _ = stack.enter_context(postgres.database())
        url = await stack.enter_async_context(proxy(server, traffic))
        configuration = gateway_process.settings(database, url, quiet_seconds=0.2)
        configuration["ehrs"][0] |= {
            "write": write, "timeout_seconds": 10, "retry": {"first_seconds": 0.2, "max_seconds": 5},
        }  # fmt: skip
        engine = open_engine(database)
        stack.callback(engine.dispose)
        with ExitStack() as gateways:
            ports, processes = [], []
            for one in range(2):
                place = folder / str(one)
                place.mkdir()
                process = gateways.enter_context(gateway_process.running(place, configuration))
                ports.append(process.dicom_port)
                processes.append(process.pid)
            made = [made_study(number, series=1, instances=VERSIONS) for number in range(count)]
            for version in range(VERSIONS):
                await _send(ports, [one[version] for one in made])
                if version == 1:
                    # One gateway dies with work under way; the other takes it up when its leases end.
                    os.kill(processes.pop(), signal.SIGKILL)
                    ports.pop()
                await _none_waits(engine, "settle")
            await _none_waits(engine, "ehr:ehr0")
        wrong, held = await _compare(engine, Config(**configuration), server, count)
        with engine.connect() as connection:
            counted = "SELECT state, count(*) FROM outbox WHERE kind = 'ehr:ehr0' GROUP BY state"
            states = {str(state): int(number) for state, number in connection.execute(text(counted))}
    reads = traffic.requests.pop("GET", 0)
    writes = sum(number for method, number in traffic.requests.items() if " " not in method)
    others = reads + sum(number for method, number in traffic.requests.items() if " " in method)
    row = (
        name, f"{count:,}", f"{held:,}", f"{count - wrong:,}", str(states.get("parked", 0)),
        f"{states.get('done', 0):,}", f"{states.get('superseded', 0):,}", f"{writes / count:.2f}",
        f"{others / count:.2f}", str(traffic.faults["before"]), str(traffic.faults["after"]),
        str(traffic.faults["away"]), f"{time.monotonic() - begun:.0f}",
    )  # fmt: skip
    return row, wrong


async def _send(ports: list[int], datasets: list[Dataset]) -> None:
    parts = [datasets[one::SENDERS] for one in range(SENDERS)]
    sending = (modality.send("127.0.0.1", ports[one % len(ports)], part) for one, part in enumerate(parts))
    await asyncio.gather(*sending)


async def _none_waits(engine: Engine, kind: str) -> None:
    waiting = text("SELECT count(*) FROM outbox WHERE kind = :kind AND state IN ('pending', 'leased')")

    def count() -> int:
        with engine.connect() as connection:
            return int(connection.execute(waiting, {"kind": kind}).scalar() or 0)

    async with asyncio.timeout(LIMIT_SECONDS):
        while await asyncio.to_thread(count):  # noqa: ASYNC110 (a database tells nobody)
            await asyncio.sleep(0.2)


async def _compare(engine: Engine, config: Config, server: str, count: int) -> tuple[int, int]:
    """(studies that are missing, doubled or not as the gateway knows them; resources in the EHR)."""
    mapping = load_mappings(config).studies
    held: dict[str, list[dict[str, Any]]] = {}
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        offset = 0
        while True:
            async with session.get(
                f"{server}/ImagingStudy", params={"_count": "500", "_offset": str(offset)}
            ) as answer:
                bundle = await answer.json(content_type=None)
            entries = bundle.get("entry") or []
            for one in entries:
                held.setdefault(one["resource"]["identifier"][0]["value"], []).append(one["resource"])
            if not entries:
                break
            offset += len(entries)
    wrong = 0
    for number in range(count):
        uid = study_uid(number)
        with engine.connect() as connection:
            study = studies.load(connection, StudyInstanceUID(uid))
        found = held.get(f"urn:oid:{uid}", [])
        wrong += not (isinstance(study, Study) and len(found) == 1 and _is_last(mapping.build(study), found[0]))
    return wrong, sum(len(one) for one in held.values())


def _is_last(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    return ours["numberOfInstances"] == VERSIONS and says_the_same(ours, theirs)
