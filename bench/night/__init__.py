"""A night in minutes: mixed load while everything fails once, and what is there in the morning.

Two nodes on one PostgreSQL, or one on SQLite, in processes of their own; RIS, modalities and EHR are simulators. The
events and their times stand in `events.py`. Needs the rights of root, for disks that can be filled.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from bench.figures import Report, Table, at_most
from bench.night.databases import database
from bench.night.events import LOAD_ENDS_AT, Event, World, events_of
from bench.night.load import Load
from bench.night.model import Model
from bench.night.node import Node
from bench.night.story import Chapter, told
from bench.night.verdict import Verdict, verdict
from bench.night.watch import Watch
from gateway.simulators.ehr import EhrSimulator

NODES: Final = {"postgresql": ("a", "b"), "sqlite": ("a",)}
MORNING_SECONDS: Final = 300.0
"""At most, for senders to get their answers and for all to be delivered, once the load has ended."""
SHOWN: Final = 20


def run(*, minutes: float, databases: list[str], folder: Path | None, rate: float) -> Report:
    """One night for each of `databases`, with `rate` orders a second; logs are kept in `folder`."""
    rows, targets = [], []
    for kind in databases:
        with tempfile.TemporaryDirectory(prefix="night-") as name:
            place = (folder or Path(name)) / kind
            place.mkdir(parents=True, exist_ok=True)
            row, found = asyncio.run(_night(kind, minutes * 60, place, rate))
        rows.append(row)
        for what in ("lost", "doubled", "stale", "waiting"):
            wrong = getattr(found, what)
            for line in wrong[:SHOWN]:
                print(f"  {kind} {what}: {line}")
            targets.append(at_most(f"night on {kind}: {what}", "", 0, float(len(wrong))))
    header = (
        "database",
        "orders",
        "studies",
        "requests",
        "failed",
        "not seen after AA",
        "lost",
        "doubled",
        "stale",
        "waiting",
    )
    return Report([Table(f"Nights of {minutes:g} minutes", header, rows)], targets)


async def _night(kind: str, seconds: float, folder: Path, rate: float) -> tuple[tuple[str, ...], Verdict]:
    model, me = Model(), asyncio.current_task()
    assert me is not None
    # Whoever ends the program ends what it has started, and lets go of its disk.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    async with AsyncExitStack() as stack:
        base = await asyncio.to_thread(stack.enter_context, database(kind))
        ehr = await stack.enter_async_context(EhrSimulator())
        nodes = [Node(name, folder, base.url, ehr.url) for name in NODES[kind]]
        world = World(folder, base, nodes, ehr, kind)
        jobs = await stack.enter_async_context(_Jobs())
        for node in nodes:
            jobs.start(node.keep())
            await node.ready()
        watch, load = Watch(nodes), Load(nodes, model, rate)
        jobs.start(watch.run())
        stack.push_async_callback(load.stop)
        began = time.monotonic()
        going_on = jobs.start(load.run())
        chapters = [await _happen(event, world, began, seconds) for event in events_of(kind)]
        await asyncio.sleep(began + LOAD_ENDS_AT * seconds - time.monotonic())
        going_on.cancel()
        morning = time.monotonic()
        waits = await _morning(load, watch, model)
        chapters.append(Chapter("the load ends", morning, time.monotonic(), waits))
        await asyncio.to_thread(base.back_up, nodes[0].configuration, folder / "morning")
        found = await verdict(model, nodes, ehr, base.url)
        lines = list(told(chapters, began, time.monotonic() + 1, model, watch))
        print("\n".join([f"The night on {kind}", *lines, ""]), flush=True)
    row = (
        kind, f"{len(model.orders):,}", f"{len(model.studies):,}", f"{len(model.attempts):,}",
        f"{len(model.failures()):,}", str(len(model.unseen)),
        *(str(len(one)) for one in (found.lost, found.doubled, found.stale, found.waiting)),
    )  # fmt: skip
    return row, found


async def _happen(event: Event, world: World, began: float, night: float) -> Chapter:
    await asyncio.sleep(began + event.at * night - time.monotonic())
    chapter = Chapter(event.name, time.monotonic(), 0.0)
    print(f"  {chapter.began - began:5.0f} s  {event.name}", flush=True)
    await event.begin(world)
    if event.end is not None:
        await asyncio.sleep(event.seconds(night))
        await event.end(world)
    chapter.ended = time.monotonic()
    chapter.notes, world.notes = world.notes, []
    return chapter


async def _morning(load: Load, watch: Watch, model: Model) -> list[str]:
    """Wait for the last answers and deliveries; what did not come is the verdict's to name."""
    try:
        async with asyncio.timeout(MORNING_SECONDS):
            await load.done()
            await watch.nothing_waits()
    except TimeoutError:
        last = [f"{one.kind} at {one.node}: {one.failure}" for one in model.failures()[-3:]]
        return [
            f"not all was answered and delivered after {MORNING_SECONDS:g} s: {load.senders} senders wait, "
            f"{watch.waiting[-1:]} deliveries; the last failures: {last}"
        ]
    return []


class _Jobs:
    """Tasks that run until the night is over; one that fails is told at once."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> _Jobs:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(job)
        task.add_done_callback(_failed)
        self._tasks.append(task)
        return task


def _failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        print(f"  a part of the night failed: {task.exception()!r}", flush=True)
