"""Messages and performed steps of an order that come in any order: the step is as their times say."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from gateway.assembly import process as app
from gateway.assembly.mappings import load_mappings
from gateway.assembly.orders import make_reader
from gateway.clock import now
from gateway.journey import scheduling
from gateway.journey.performed_step.request import Request
from gateway.journey.performed_step.station import PerformedSteps
from gateway.mapping.attributes import from_dataset
from gateway.store import worklist as worklist_rows
from tests.journey.messages import orm
from tests.journey.modality import begin, end, item
from tests.journey.running import Start, config_of
from tests.journey.test_order_intake import send, told

BASE = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=6)
HISTORIES = 30


@dataclass(frozen=True)
class Event:
    """An order control, or `begin` or how a performed step ends, at a minute of its own."""

    kind: str
    minute: int
    number: int
    start: str = ""

    @property
    def at(self) -> datetime:
        return BASE + timedelta(minutes=self.minute)


def history(chance: random.Random) -> list[Event]:
    """A new order, what is done to it, and up to two performed steps, each at a time of its own."""
    minutes = iter(chance.sample(range(300), 12))
    events = [Event("NW", next(minutes), 0, "20301124093000")]
    for number in range(1, chance.randint(1, 4)):
        kind = chance.choice(["XO", "XO", "CA", "HD", "RL"])
        events.append(Event(kind, next(minutes), number, chance.choice(["20301124093000", "20301125100000"])))
    for number in range(chance.randint(1, 2)):
        first, second = sorted((next(minutes), next(minutes)))
        events.append(Event("begin", first, number))
        if chance.random() < 0.7:
            events.append(Event(chance.choice(["COMPLETED", "DISCONTINUED", "110514"]), second, number))
    return events


def shuffled(chance: random.Random, events: list[Event]) -> list[Event]:
    """In any order in which the order is there before its examinations, and each of these begins before it ends."""
    mixed = chance.sample(events[1:], len(events) - 1)
    beginnings = {event.number: event for event in mixed if event.kind == "begin"}
    arranged: list[Event] = [events[0]]
    for event in mixed:
        for one in ([beginnings[event.number]] if event.kind in ENDS else []) + [event]:
            if one not in arranged:
                arranged.append(one)
    return arranged


ENDS = ("COMPLETED", "DISCONTINUED", "110514")


async def take(gateway: app.Running, station: PerformedSteps, prefix: str, event: Event) -> bool:
    """Whether the event was accepted."""
    if event.kind != "begin" and event.kind not in ENDS:
        raw = orm(
            control=event.kind, status="SC", control_id=f"{prefix}{event.number}{event.minute}", placer=f"P{prefix}",
            filler=f"F{prefix}", accession=f"A{prefix}", procedure="RP1", step="S1", study_uid=f"1.2.{prefix}",
            at=f"{event.at:%Y%m%d%H%M%S}", start=event.start,
        )  # fmt: skip
        [ack] = await send(gateway, raw)
        return told(ack)[0] == "AA"
    which = "Start" if event.kind == "begin" else "End"
    moment = {
        f"PerformedProcedureStep{which}Date": f"{event.at:%Y%m%d}",
        f"PerformedProcedureStep{which}Time": f"{event.at:%H%M%S}",
    }
    work: Callable[[Request], Awaitable[None]] = station.create
    stated = begin(item(f"1.2.{prefix}", "S1", f"A{prefix}"), **moment)
    if event.kind != "begin":
        work = station.set
        wrong = event.kind == "110514"
        stated = end("DISCONTINUED" if wrong else event.kind, event.kind if wrong else "", **moment)
    attributes = from_dataset(stated, with_empty=True)
    await work(Request("CT1", "127.0.0.1", f"1.2.3.{prefix}.{event.number}", attributes))
    return True


async def outcome(gateway: app.Running, prefix: str) -> tuple[Any, ...]:
    rows = await gateway.store.read(lambda connection: connection.execute(worklist_rows.ITEMS).mappings().all())
    [row] = [row for row in rows if row["accession"] == f"A{prefix}"]
    step = row["step"]
    return row["state"], step["ScheduledProcedureStepStartDate"], step["ScheduledProcedureStepStartTime"]


async def test_a_step_is_what_its_messages_and_examinations_say_in_the_order_of_their_times(
    start: Start, database_url: str
) -> None:
    """Histories of which a message was refused, because the step ran when it came, are left out: its sender knows."""
    config = config_of(database_url)
    reader = make_reader(config, load_mappings(config))
    whole = partial(scheduling.whole_history, messages=reader.history)
    compared: list[str] = []
    async with start() as gateway:
        station = PerformedSteps(gateway.store, whole, now, zone=UTC)
        for seed in range(HISTORIES):
            chance = random.Random(seed)
            events = history(chance)
            in_order = [events[0], *sorted(events[1:], key=lambda event: event.minute)]
            straight, wild = f"1{seed}", f"2{seed}"
            taken = [await take(gateway, station, straight, event) for event in in_order]
            taken += [await take(gateway, station, wild, event) for event in shuffled(chance, events)]
            if all(taken):
                expected = await outcome(gateway, straight)
                assert await outcome(gateway, wild) == expected, (seed, in_order)
                compared.append(expected[0])
    assert len(compared) >= HISTORIES / 2
    assert {"STARTED", "COMPLETED", "DISCONTINUED"} <= set(compared)
