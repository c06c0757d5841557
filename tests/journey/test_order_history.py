"""Histories of orders over many connections: the worklist is that of the same events in the order of ORC-9."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import threading
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.assembly import process as app
from gateway.store import worklist as worklist_rows
from gateway.wire.hl7.mllp_client import MllpClient
from tests.journey.messages import adt, orm
from tests.journey.running import config_of

CONNECTIONS = 8
EXAMPLES = 200 if "FAULTS" in os.environ else 8


@dataclass(frozen=True)
class Served:
    """Gateways on one database that run in a loop of their own, for tests that are not asynchronous."""

    gateways: tuple[app.Running, ...]
    loop: asyncio.AbstractEventLoop

    @property
    def ports(self) -> list[int]:
        return [gateway.hl7_ports["ris"] for gateway in self.gateways]

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)


@pytest.fixture
def served(database_url: str) -> Iterator[Served]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    # SQLite is one gateway's; on PostgreSQL two share the work, and meet only in the database.
    number = 2 if database_url.startswith("postgresql") else 1
    running = [app.running(config_of(database_url)) for _ in range(number)]

    def call(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    gateways = tuple(call(one.__aenter__()) for one in running)
    try:
        yield Served(gateways, loop)
    finally:
        for one in running:
            call(one.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


@dataclass(frozen=True)
class Event:
    """One message of a history; `hour` and `minute` are its ORC-9, which no other of the history has."""

    kind: str
    order: int
    minute: int
    step: str
    start: str
    status: str = "SC"

    def hl7(self, prefix: str, control_id: str) -> bytes:
        at = f"202601231{self.minute // 60:01d}{self.minute % 60:02d}00"
        if self.kind.startswith("A"):
            return adt(self.kind, control_id=control_id, patient=f"{prefix}PAT^^^HOSP", name=f"N{self.minute}^X", at=at)
        number = f"{prefix}{self.order}"
        return orm(
            control=self.kind, status=self.status, control_id=control_id, patient=f"{prefix}PAT^^^HOSP",
            name=f"N{self.minute}^X", placer=f"P{number}", filler=f"F{number}", accession=f"A{number}",
            procedure="RP1", step=self.step, start=self.start, at=at, study_uid="",
        )  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    minutes = draw(st.lists(st.integers(0, 359), unique=True, min_size=2, max_size=12))
    kind = st.sampled_from(["NW", "NW", "XO", "XO", "CA", "DC", "HD", "RL", "SC", "A08", "A10"])
    steps, starts = st.sampled_from(["S1", "S2", ""]), st.sampled_from(["20260123093000", "20260124100000"])
    return [
        Event(
            draw(kind), draw(st.integers(1, 2)), minute, draw(steps), draw(starts), draw(st.sampled_from(["SC", "CM"]))
        )
        for minute in minutes
    ]


NUMBERS = itertools.count(1)


async def _send(ports: Sequence[int], lanes: Sequence[Sequence[bytes]]) -> list[bytes]:
    async def lane(port: int, messages: Sequence[bytes]) -> list[bytes]:
        async with MllpClient("127.0.0.1", port, timeout=120) as client:
            return [await client.send(one) for one in messages]

    answers = await asyncio.gather(
        *(lane(ports[number % len(ports)], messages) for number, messages in enumerate(lanes) if messages)
    )
    return [answer for answered in answers for answer in answered]


def _worklist(served: Served, prefix: str) -> list[Any]:
    """All that the worklist holds of the orders with a prefix, without it."""
    found = served.call(
        served.gateways[0].store.read(
            lambda connection: [dict(row) for row in connection.execute(worklist_rows.ITEMS).mappings()]
        )
    )
    of_prefix = [row for row in found if row["accession"].startswith(f"A{prefix}")]
    plain = [
        {key: row[key] for key in ("state", "step", "procedure", "order", "patient", "accession")} for row in of_prefix
    ]
    for row in plain:
        row["procedure"] = {key: value for key, value in row["procedure"].items() if key != "StudyInstanceUID"}
    return sorted(json.dumps(row, sort_keys=True).replace(prefix, "") for row in plain)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories(), mixed=st.randoms(use_true_random=False), doubled=st.integers(0, 4))
def test_the_worklist_is_that_of_the_events_in_the_order_of_their_times(
    served: Served, history: list[Event], mixed: Any, doubled: int
) -> None:
    number = next(NUMBERS)
    straight, wild = f"X{number}Q", f"Y{number}Q"
    in_order = sorted(history, key=lambda event: event.minute)
    first = served.call(_send(served.ports, [[one.hl7(straight, f"{straight}{n}") for n, one in enumerate(in_order)]]))

    messages = [one.hl7(wild, f"{wild}{n}") for n, one in enumerate(history)]
    messages += [mixed.choice(messages) for _ in range(doubled)]
    messages += [mixed.choice(history).hl7(wild, f"{wild}again{n}") for n in range(doubled)]
    mixed.shuffle(messages)
    second = served.call(_send(served.ports, [messages[lane::CONNECTIONS] for lane in range(CONNECTIONS)]))
    assert {answer.partition(b"\rMSA|")[2][:2] for answer in first + second} == {b"AA"}
    assert _worklist(served, wild) == _worklist(served, straight)
