"""Three ways to write orders to SQLite, on the same job: what docs/decisions/0002 rests on.

`python -m bench.writers`, in an environment that also holds aiosqlite and greenlet, which the gateway does not need.
The job of one order: has the message come before (a query), then insert the message, order, procedure and step; five
statements, in WAL with `synchronous=FULL`. As many senders as are named each wait for the commit before their next
order.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, event, insert, select
from sqlalchemy.sql import Executable

from bench.figures import Table, machine, milliseconds, percentile, rendered
from gateway.store.engine import open_engine
from gateway.store.schema import messages, metadata, orders, procedures, steps
from gateway.store.writer import MAX_BATCH, Writer

PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-65536")
_EARLIER = select(messages.c.id, messages.c.ack, messages.c.digest).where(
    messages.c.sender == bindparam("sender"), messages.c.control_id == bindparam("control_id")
)
_MESSAGE, _ORDER, _PROCEDURE, _STEP = insert(messages), insert(orders), insert(procedures), insert(steps)
_BODY = b"MSH|^~\\&|RIS|HOSP|GATEWAY|HOSP|20301123120000||ORM^O01|" + b"x" * 700
_TEXT = {f"Attribute{number}": f"value {number}" for number in range(12)}

Save = Callable[[int], Awaitable[None]]
Way = Callable[[str], AbstractAsyncContextManager[Save]]


def statements(number: int) -> Iterator[tuple[Executable, dict[str, Any]]]:
    """The five statements of one order, with their values; the same for every way."""
    yield _EARLIER, {"sender": "RIS|HOSP", "control_id": str(number)}
    yield (
        _MESSAGE,
        {
            "id": number, "received_at": number, "listener": "ris", "peer": "127.0.0.1", "sender": "RIS|HOSP",
            "control_id": str(number), "type": "ORM^O01", "digest": bytes(32), "body": _BODY, "state": "applied",
            "ack_code": "AA", "ack": b"MSA|AA", "findings": [],
        },
    )  # fmt: skip
    yield (
        _ORDER,
        {
            "id": number, "patient": None, "authority": "RIS", "accession": f"A{number}", "placer": f"P{number}",
            "filler": f"F{number}", "attributes": _TEXT, "event_at": number, "created_at": number,
            "updated_at": number,
        },
    )  # fmt: skip
    yield (
        _PROCEDURE,
        {
            "id": number, "order": number, "requested_procedure_id": f"R{number}", "study_uid": f"2.25.{number}",
            "attributes": _TEXT,
        },
    )  # fmt: skip
    yield (
        _STEP,
        {
            "id": number, "procedure": number, "step_id": f"S{number}", "state": "SCHEDULED", "modality": "CT",
            "station_ae": "", "start_date": "20300107", "start_time": "080000", "attributes": _TEXT,
            "updated_at": number,
        },
    )  # fmt: skip


@asynccontextmanager
async def async_alone(path: str) -> AsyncIterator[Save]:
    """SQLAlchemy's asyncio engine on aiosqlite: one transaction for each order, one after the other."""
    async with _async_connection(path) as connection:
        turn = asyncio.Lock()

        async def save(number: int) -> None:
            async with turn, connection.begin():
                for statement, values in statements(number):
                    await connection.execute(statement, values)

        yield save


@asynccontextmanager
async def async_grouped(path: str) -> AsyncIterator[Save]:
    """The same engine; what waits goes into one transaction, each order in its savepoint, like the gateway's writer."""
    async with _async_connection(path) as connection:
        waiting: asyncio.Queue[tuple[int, asyncio.Future[None]]] = asyncio.Queue()

        async def write() -> None:
            while True:
                batch = [await waiting.get()]
                while len(batch) < MAX_BATCH and not waiting.empty():
                    batch.append(waiting.get_nowait())
                async with connection.begin():
                    for number, _ in batch:
                        await connection.exec_driver_sql("SAVEPOINT unit")
                        for statement, values in statements(number):
                            await connection.execute(statement, values)
                        await connection.exec_driver_sql("RELEASE SAVEPOINT unit")
                for _, future in batch:
                    future.set_result(None)

        async def save(number: int) -> None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiting.put_nowait((number, future))
            await future

        task = asyncio.create_task(write())
        yield save
        task.cancel()


@asynccontextmanager
async def thread_grouped(path: str) -> AsyncIterator[Save]:
    """The gateway's own: synchronous Core in the group-commit writer's thread."""
    engine = open_engine(f"sqlite:///{path}")
    writer = Writer(engine)

    def unit(connection: Connection, number: int) -> None:
        for statement, values in statements(number):
            connection.execute(statement, values)

    async def save(number: int) -> None:
        await writer.write(lambda connection: unit(connection, number))

    yield save
    await writer.close()
    engine.dispose()


WAYS: dict[str, Way] = {
    "asyncio engine + aiosqlite, one transaction each": async_alone,
    "asyncio engine + aiosqlite, grouped": async_grouped,
    "synchronous Core in the writer's thread, grouped": thread_grouped,
}


@asynccontextmanager
async def _async_connection(path: str) -> AsyncIterator[Any]:
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


@dataclass(frozen=True)
class Run:
    """One round of one way."""

    rate: float
    latencies: list[float]
    cpu: float
    """Processor seconds of the whole process for each order."""


async def measure(way: Way, senders: int, seconds: float) -> Run:
    """Let `senders` save orders for about `seconds`."""
    with tempfile.TemporaryDirectory(prefix="bench-writers-") as folder:
        path = str(Path(folder) / "bench.db")
        engine = open_engine(f"sqlite:///{path}")
        metadata.create_all(engine)
        engine.dispose()
        numbers, latencies = count(1), list[float]()

        async def sender(save: Save, until: float) -> None:
            while (begun := time.perf_counter()) < until:
                await save(next(numbers))
                latencies.append(time.perf_counter() - begun)

        async with way(path) as save:
            await asyncio.gather(*(save(next(numbers)) for _ in range(20)))
            begun, cpu = time.perf_counter(), time.process_time()
            await asyncio.gather(*(sender(save, begun + seconds) for _ in range(senders)))
            taken, worked = time.perf_counter() - begun, time.process_time() - cpu
        return Run(len(latencies) / taken, latencies, worked / len(latencies))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.writers", description=__doc__)
    parser.add_argument("--senders", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    given = parser.parse_args()
    runs: dict[tuple[int, str], list[Run]] = {}
    for _ in range(given.rounds):
        for senders in given.senders:
            for name, way in WAYS.items():
                run = asyncio.run(measure(way, senders, given.seconds))
                runs.setdefault((senders, name), []).append(run)
    rows = [
        (
            f"{senders} at once: {name}",
            f"{statistics.median(run.rate for run in all_runs):,.0f}",
            milliseconds(statistics.median(percentile(run.latencies, 50) for run in all_runs)),
            milliseconds(statistics.median(percentile(run.latencies, 99) for run in all_runs)),
            f"{statistics.median(run.cpu for run in all_runs) * 1e6:,.0f}",
        )
        for (senders, name), all_runs in runs.items()
    ]
    print(rendered(machine()), end="\n\n")
    header = ("", "orders/s", "p50 ms", "p99 ms", "CPU us/order")
    print(rendered(Table(f"Orders to SQLite, medians of {given.rounds} rounds", header, rows)))


if __name__ == "__main__":
    main()
