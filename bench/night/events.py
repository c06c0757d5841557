"""What happens in a night, and when: shares of its length, so that a night of any length has all of it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.night.databases import Database, Postgres, in_thread
from bench.night.node import Node
from bench.night.programs import printed
from gateway.simulators.ehr import EhrSimulator

LEASE_SECONDS: Final = 60.0
HTTP_PATIENCE: Final = 15.0


@dataclass(slots=True)
class World:
    """All that can fail."""

    folder: Path
    database: Database
    nodes: list[Node]
    ehr: EhrSimulator
    kind: str
    """`sqlite` or `postgresql`."""
    notes: list[str] = field(default_factory=list)
    """What an event has to tell, such as what a command printed; taken by who tells the story."""


Act = Callable[[World], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Event:
    """Begins at a share of the night; what it takes away is given back after `seconds`."""

    name: str
    at: float
    begin: Act
    end: Act | None = None
    seconds: Callable[[float], float] = lambda night: night / 27
    """How long it lasts, of the seconds of the night."""
    only: str = ""
    """Kind of database; '' for both."""


def _last(world: World) -> Node:
    return world.nodes[-1]


async def _pause(world: World) -> None:
    _last(world).signal(signal.SIGSTOP)


async def _resume(world: World) -> None:
    _last(world).signal(signal.SIGCONT)


def _server(world: World) -> Postgres:
    """The database as what can be stopped; SQLite has no server."""
    assert isinstance(world.database, Postgres)
    return world.database


async def _stop_database(world: World) -> None:
    await in_thread(_server(world).stop)


async def _start_database(world: World) -> None:
    await in_thread(_server(world).start)


async def _hang(world: World) -> None:
    await in_thread(world.database.hang)


async def _go_on(world: World) -> None:
    await in_thread(world.database.go_on)


async def _fill(world: World) -> None:
    await in_thread(world.database.fill)


async def _free(world: World) -> None:
    await in_thread(world.database.free)
    if world.kind == "postgresql":
        # A server that could not write its log has ended, and is started by whoever gave it room.
        await in_thread(_server(world).start)


def _clock(offset: str) -> Act:
    async def move(world: World) -> None:
        world.nodes[0].set_clock(offset)

    return move


async def _back_up(world: World) -> None:
    target = world.folder / "backup"
    text = await in_thread(world.database.back_up, world.nodes[0].configuration, target)
    world.notes.append(text)


async def _empty(world: World) -> None:
    """The EHR comes back without its data, as after a restore of an old copy."""
    await world.ehr.refuse()
    world.ehr.forget()
    await world.ehr.listen()


async def _fill_ehr(world: World) -> None:
    configuration = world.nodes[0].configuration
    command = [sys.executable, "-m", "gateway", "replay", "--ehr", "ehr0", "--per-second", "50", "-c", configuration]
    world.notes.append(await in_thread(printed, command))


async def _kill(world: World) -> None:
    world.nodes[0].signal(signal.SIGKILL)


def _beyond_the_lease(_night: float) -> float:
    """In a short night too, whose next events then come later than their shares say."""
    return LEASE_SECONDS + HTTP_PATIENCE


EVENTS: Final = (
    Event("a backup is taken", 0.05, _back_up),
    Event("a node is paused for longer than its leases", 0.10, _pause, _resume, _beyond_the_lease),
    Event("PostgreSQL is stopped", 0.24, _stop_database, _start_database, only="postgresql"),
    Event("the disk is full", 0.33, _fill, _free),
    Event("the clock of a node goes back an hour", 0.42, _clock("-3600"), _clock("+0"), lambda night: night / 20),
    Event("the clock of a node goes on a day", 0.51, _clock("+86400"), _clock("+0"), lambda night: night / 20),
    Event("the EHR is emptied", 0.60, _empty, _fill_ehr, lambda night: night / 60),
    Event("a node is killed", 0.70, _kill),
    Event("the database hangs", 0.78, _hang, _go_on, lambda night: max(25.0, night / 40)),
)
LOAD_ENDS_AT: Final = 0.90


def events_of(kind: str) -> list[Event]:
    """Those of a kind of database, in the order in which they happen."""
    return [event for event in EVENTS if event.only in ("", kind)]
