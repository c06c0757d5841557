"""What happened last, for whoever watches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from sqlalchemy import Connection

from gateway.operations.state.part import Level
from gateway.records.message import WRONG
from gateway.records.work import STUCK, WorkKind, WorkState
from gateway.store import traffic

SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Event:
    at: int
    """Microseconds since 1970 UTC."""
    what: str
    """The kind of message or of work, or what was refused."""
    result: str
    level: Level
    page: str = ""
    """Path of the console's page about it; empty: there is none."""


def last_events(connection: Connection, *, limit: int = SHOWN) -> list[Event]:
    """Messages that came, work that was done or failed, and what was refused; the newest first."""
    events = [*_messages(connection, limit), *_work(connection, limit), *_refusals(connection, limit)]
    return sorted(events, key=lambda event: -event.at)[:limit]


def _messages(connection: Connection, limit: int) -> Iterator[Event]:
    for row in traffic.last_messages(connection, limit=limit):
        level = Level.BAD if row["state"] in WRONG else Level.GOOD
        yield Event(row["at"], f"{row['type']} from {row['listener']}", row["state"], level, f"/messages/{row['id']}")


LEVELS: Final = dict.fromkeys(STUCK, Level.BAD)


def _work(connection: Connection, limit: int) -> Iterator[Event]:
    for row in traffic.last_work(connection, limit=limit):
        cause = row["cause"] if row["state"] != WorkState.DONE else ""
        level = LEVELS.get(row["state"], Level.WARN if cause else Level.GOOD)
        page = f"/studies/{quote(row['subject'], safe='')}" if WorkKind.of(row["kind"]).of_study else "/deliveries"
        yield Event(row["at"], row["kind"], ": ".join(filter(None, (row["state"], cause))), level, page)


def _refusals(connection: Connection, limit: int) -> Iterator[Event]:
    for row in traffic.last_refusals(connection, limit=limit):
        yield Event(row["at"], f"arrival from {row['source']}", row["reason"], Level.WARN)
