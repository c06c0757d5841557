"""The console: pages over a large order book, and what browsers that watch the first page cost.

Pages: each kind in turn over one connection, as a browser without the page's files, which it keeps. Browsers: each an
open stream of `/events`; the share of a core is the process's CPU time less that without them, of the same length,
while orders come in at a steady pace; S1 beside them and without them in turns.
"""

from __future__ import annotations

import asyncio
import http.client
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import quote

import aiohttp

from bench import gateway_process, order_book
from bench.bad_company import working
from bench.databases import empty_database
from bench.figures import Report, Table, Target, at_least, at_most, milliseconds, percentile
from bench.mllp_load import send
from gateway.simulators import ris

CONNECTIONS: Final = 4
BROWSERS: Final = 20
WATCH_SECONDS: Final = 30.0
PACE_SECONDS: Final = 1.0
"""Between orders while the browsers watch."""
HTML: Final = {"Accept": "text/html"}


def pages(*, size: int, databases: Sequence[str], questions: int) -> Report:
    """p50 and p95 of `questions` requests of each kind, over a book of `size` steps in each database."""
    rows, targets = [], []
    for database in databases:
        with ExitStack() as stack:
            folder, url = empty_database(stack, database, "console")
            order_book.filled(url, size)
            gateway = stack.enter_context(gateway_process.running(folder, gateway_process.settings(url)))
            for kind, taken in _asked(gateway.http_port, size, questions).items():
                p50, p95 = percentile(taken, 50), percentile(taken, 95)
                rows.append((database, kind, milliseconds(p50), milliseconds(p95)))
                targets.append(at_most(f"{database}: p95 of {kind}", "ms", 100, p95 * 1000))
    table = Table(f"Pages of the console over {size:,} steps", ("database", "page", "p50 ms", "p95 ms"), rows)
    return Report([table], targets)


def _asked(port: int, size: int, questions: int) -> dict[str, list[float]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    numbers = range(0, size, max(1, size // questions))[:questions]
    taken: dict[str, list[float]] = {}
    for number in numbers:
        for kind, path in _paths(number).items():
            begun = time.perf_counter()
            connection.request("GET", path, headers=HTML)
            response = connection.getresponse()
            body = response.read()
            taken.setdefault(kind, []).append(time.perf_counter() - begun)
            if response.status not in (200, 303) or not (body or response.status == 303):
                raise RuntimeError(f"{path} answered {response.status}")
    return taken


def _paths(number: int) -> dict[str, str]:
    words = {
        "accession number": f"A{number}", "patient ID": f"P{number}", "order number": f"F{number}",
        "Study Instance UID": f"2.25.7{number}", "name": f"Person{number}", "common beginning of a name": "Pers",
        "nothing": f"NOTHING{number}",
    }  # fmt: skip
    searches = {f"Search, {kind}": f"/search?q={quote(word)}" for kind, word in words.items()}
    return {"Now": "/", **searches}


def browsers(*, messages: int, rounds: int) -> Report:
    """CPU of the gateway with and without `BROWSERS` streams, and S1 beside them, in turns."""
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(prefix="bench-console-") as name,
        ProcessPoolExecutor(2, mp_context=spawn) as pool,
        gateway_process.running(Path(name), gateway_process.settings(f"sqlite:///{name}/gateway.db")) as gateway,
    ):
        return asyncio.run(_browsers(gateway, pool, messages, rounds))


async def _browsers(gateway: gateway_process.Gateway, pool: Executor, messages: int, rounds: int) -> Report:
    loop, seeds = asyncio.get_running_loop(), count(1)
    await loop.run_in_executor(pool, send, gateway.hl7_port, CONNECTIONS, next(seeds), messages)
    shares: dict[int, list[float]] = {0: [], BROWSERS: []}
    rates: dict[int, list[float]] = {0: [], BROWSERS: []}
    for _ in range(rounds):
        for watching in shares:
            async with _streams(gateway.http_port, watching):
                shares[watching].append(await _share(gateway, next(seeds)))
                load = await loop.run_in_executor(pool, send, gateway.hl7_port, CONNECTIONS, next(seeds), messages)
                rates[watching].append(load.rate)
    cost = statistics.median(shares[BROWSERS]) - statistics.median(shares[0])
    ratio = statistics.median(rates[BROWSERS]) / statistics.median(rates[0])
    rows = [
        (str(watching), f"{statistics.median(shares[watching]):.2%}", f"{statistics.median(rates[watching]):.0f}")
        for watching in shares
    ]
    note = f"an order each {PACE_SECONDS:g} s for {WATCH_SECONDS:g} s; S1: {messages} orders, {rounds} rounds; medians"
    table = Table("Browsers that watch", ("streams", "share of a core", "S1, orders/s"), rows, [note])
    targets: list[Target] = [
        at_most(f"{BROWSERS} browsers: share of a core", "%", 2, cost * 100),
        at_least(f"S1 beside {BROWSERS} browsers", "x", 0.95, ratio),
    ]
    return Report([table], targets)


@asynccontextmanager
async def _streams(port: int, number: int) -> AsyncIterator[None]:
    """So many streams of events, each read as it comes."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        responses = [await session.get(f"http://127.0.0.1:{port}/events") for _ in range(number)]
        for response in responses:
            response.raise_for_status()
        async with working(*map(_read, responses)):
            yield


async def _read(response: aiohttp.ClientResponse) -> None:
    async for _ in response.content.iter_any():
        pass


async def _share(gateway: gateway_process.Gateway, seed: int) -> float:
    """The gateway's CPU time as a share of the time, while an order comes each `PACE_SECONDS`."""
    orders = list(ris.orders(seed, int(WATCH_SECONDS / PACE_SECONDS)))
    begun, spent = time.perf_counter(), gateway.cpu_seconds()
    for order in orders:
        await ris.send("127.0.0.1", gateway.hl7_port, [order.hl7()])
        await asyncio.sleep(PACE_SECONDS)
    return (gateway.cpu_seconds() - spent) / (time.perf_counter() - begun)
