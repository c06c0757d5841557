"""Messages and performed steps of an order that come in any order: the step is as their times say."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import select

from gateway.assembly import process as app
from gateway.assembly.mappings import load_mappings
from gateway.assembly.orders import replay_message
from gateway.assembly.readers import make_reader
from gateway.clock import now
from gateway.config.tree import Config
from gateway.journey import scheduling
from gateway.journey.performed_step.request import Request
from gateway.journey.performed_step.station import PerformedSteps
from gateway.mapping.attributes import from_dataset
from gateway.records.row_ids import MessageRow
from gateway.store import unlinked_items
from gateway.store import worklist as worklist_rows
from gateway.store.schema import messages
from tests.journey.messages import orm
from tests.journey.modality import begin, end, item
from tests.journey.running import Start, config_of
from tests.journey.test_order_intake import send, told

BASE = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=6)
HISTORIES, REPLAYED = (30, 10) if "FAULTS" in os.environ else (12, 4)
"""`make faults` has more."""


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
    """In any order in which each examination begins before it ends: the order itself may come last."""
    mixed = chance.sample(events, len(events))
    beginnings = {event.number: event for event in mixed if event.kind == "begin"}
    arranged: list[Event] = []
    for event in mixed:
        for one in ([beginnings[event.number]] if event.kind in ENDS else []) + [event]:
            if one not in arranged:
                arranged.append(one)
    return arranged


ENDS = ("COMPLETED", "DISCONTINUED", "110514")


async def take(gateway: app.Running, station: PerformedSteps, prefix: str, event: Event, *, own_study: bool) -> bool:
    """Whether the event was accepted. `own_study`: the modality made the Study Instance UID."""
    if event.kind != "begin" and event.kind not in ENDS:
        raw = orm(
            control=event.kind, status="SC", control_id=f"{prefix}{event.number}{event.minute}", placer=f"P{prefix}",
            filler=f"F{prefix}", accession=f"A{prefix}", procedure="RP1", step="S1", study_uid=f"1.2.{prefix[:-1]}",
            at=f"{event.at:%Y%m%d%H%M%S}", start=event.start,
        )  # fmt: skip
        [ack] = await send(gateway, raw)
        return told(ack)[0] == "AA"
    which = "Start" if event.kind == "begin" else "End"
    moment = {
        f"PerformedProcedureStep{which}Date": f"{event.at:%Y%m%d}",
        f"PerformedProcedureStep{which}Time": f"{event.at:%H%M%S}",
    }
    work: Callable[[Request], Awaitable[object]] = station.create
    stated = begin(item(f"{9 if own_study else 1}.2.{prefix[:-1]}", "S1", f"A{prefix}"), **moment)
    if event.kind != "begin":
        work = station.set
        wrong = event.kind == "110514"
        stated = end("DISCONTINUED" if wrong else event.kind, event.kind if wrong else "", **moment)
    attributes = from_dataset(stated, with_empty=True)
    await work(Request("CT1", "127.0.0.1", f"1.2.3.{prefix[:-1]}.{event.number}", attributes))
    return True


async def replay(gateway: app.Running, config: Config, chance: random.Random, prefix: str) -> None:
    """Work on all messages of an order again, in any order."""
    wanted = select(messages.c.id).where(messages.c.control_id.startswith(prefix), messages.c.ack_code == "AA")
    kept = await gateway.store.read(lambda connection: connection.execute(wanted).scalars().all())
    for row in chance.sample(kept, len(kept)):
        assert await replay_message(config, gateway.store, load_mappings(config), now, MessageRow(row)) == "AA"


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
    late = 0
    async with start() as gateway:
        station = PerformedSteps(gateway.store, whole, now, zone=UTC)
        for seed in range(HISTORIES):
            chance = random.Random(seed)
            events = history(chance)
            in_order = [events[0], *sorted(events[1:], key=lambda event: event.minute)]
            straight, wild, own = f"1{seed}x", f"2{seed}x", seed % 3 == 0
            mixed = shuffled(chance, events)
            taken = [await take(gateway, station, straight, event, own_study=own) for event in in_order]
            taken += [await take(gateway, station, wild, event, own_study=own) for event in mixed]
            if all(taken):
                expected = await outcome(gateway, straight)
                assert await outcome(gateway, wild) == expected, (seed, in_order, mixed)
                compared.append(expected[0])
                late += mixed.index(events[0]) > next(n for n, one in enumerate(mixed) if one.kind == "begin")
            if all(taken) and seed < REPLAYED:
                await replay(gateway, config, chance, wild)
                assert await outcome(gateway, wild) == expected, (seed, in_order, mixed)
        waiting = await gateway.store.read(lambda connection: unlinked_items.steps_with(connection, limit=1))
        assert waiting == []
    assert late >= HISTORIES / 6, "so often the order came after its examination"
    assert len(compared) >= HISTORIES / 2
    assert {"STARTED", "COMPLETED", "DISCONTINUED"} <= set(compared)
