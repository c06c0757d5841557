"""A stop of several processes amid work: who has sent something gets the answer, and nobody else is let in."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Table

from gateway.simulators import modality, ris
from gateway.store import Store
from gateway.store.schema import instances, messages, orders
from gateway.wire.hl7.mllp_client import MllpClient
from tests.commands import has_ended, served
from tests.conftest import until
from tests.journey.test_study_findings import image
from tests.several_processes import HOST, PATIENT_SECONDS, Ports, configuration, count


@contextmanager
def held(url: str, table: Table) -> Iterator[Callable[[], int]]:
    """While the context is open nobody else reads or writes a table; gives how many wait for it."""
    asked = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as watch:
        holder.execute(f"LOCK TABLE {table.name} IN ACCESS EXCLUSIVE MODE".encode())
        yield lambda: int((watch.execute(asked, [table.name]).fetchone() or (0,))[0])
        holder.rollback()


def is_refused(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port)):
            return False
    except ConnectionRefusedError:
        return True


async def order(ports: Ports) -> bool:
    async with MllpClient(HOST, ports.hl7, timeout=PATIENT_SECONDS) as sender:
        [exam] = ris.orders(730, 1)
        return b"MSA|AA|" in await sender.send(exam.hl7())


async def study(ports: Ports) -> bool:
    """The second is sent when the first is answered: an association at work is not ended between two instances."""
    return await modality.send(HOST, ports.dicom, [image(number=one) for one in "12"], timeout=PATIENT_SECONDS) == 2


@pytest.mark.parametrize(
    ("send", "table", "kept", "rows", "closed"),
    [
        (order, messages, orders, 1, ("http", "dicom", "hl7")),
        # Orders are taken, and answered, while images are finished.
        (study, instances, instances, 2, ("http", "dicom")),
    ],
)
async def test_what_is_under_way_is_answered_while_nobody_new_is_taken(
    tmp_path: Path,
    shared_postgres: str,
    send: Callable[[Ports], Coroutine[Any, Any, bool]],
    table: Table,
    kept: Table,
    rows: int,
    closed: Sequence[str],
) -> None:
    # What waits for the table is answered when it gets the table, however long a busy machine takes to close ports.
    database = {"url": shared_postgres, "answer_seconds": PATIENT_SECONDS}
    (tmp_path / "gateway.yaml").write_text(configuration(shared_postgres, database=database), encoding="utf-8")
    async with served(tmp_path, "--processes", "2") as command:
        ports = Ports(command.output)
        with held(shared_postgres, table) as waiting:
            is_answered = asyncio.create_task(send(ports))
            await until(waiting, what="work under way")
            command.signal(signal.SIGTERM)
            for name in closed:
                await until(partial(is_refused, getattr(ports, name)), what=f"a closed port: {name}")
            assert not is_answered.done()
        assert await is_answered
        assert await command.ended() == 0
    store = await Store.open(shared_postgres)
    assert await count(store, kept) == rows
    await store.close()


async def test_what_asks_for_a_reload_does_not_end_what_stops(tmp_path: Path, shared_postgres: str) -> None:
    (tmp_path / "gateway.yaml").write_text(configuration(shared_postgres), encoding="utf-8")
    async with served(tmp_path, "--processes", "2") as command:
        command.signal(signal.SIGTERM)
        await until(partial(has_ended, command, but_asks_for=signal.SIGHUP), what="the end")
        assert await command.ended() == 0
        assert "never retrieved" not in command.errors
