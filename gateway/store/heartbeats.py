"""A row for each gateway that works on the database: that it can write, and its steady time, which outlives it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update

from gateway.clock import JUMP_MICROS, SteadyClock
from gateway.store.schema import heartbeats, outbox

FORGOTTEN_MICROS: Final = 24 * 3600 * 1_000_000
"""Rows of gateways that ended so long ago are deleted."""
_INFO: Final = "steady"


def attach(info: dict[object, object], steady: SteadyClock) -> None:
    """Let the units that run on a connection with this `info` measure by `steady`."""
    info[_INFO] = steady


def steady_of(connection: Connection, moment: int, *, now: int) -> int:
    """The steady time at which what the wall clock, showing `now`, calls `moment` falls due."""
    steady = connection.info.get(_INFO)
    return steady.of(moment, now=now) if isinstance(steady, SteadyClock) else moment


def shown(connection: Connection, moment: int) -> int:
    """A steady time as people read it: by the wall clock."""
    steady = connection.info.get(_INFO)
    return steady.shown(moment) if isinstance(steady, SteadyClock) else moment


def wall_clock(connection: Connection, now: int) -> int:
    """The wall clock that all gateways on this database share: the server's, or `now` where there is none."""
    if connection.dialect.name != "postgresql":
        return now
    return int(connection.execute(_SERVER_CLOCK).scalar_one())


def beginning(connection: Connection, now: int) -> int:
    """The steady time of a gateway that starts: what the shared wall clock shows, but no earlier than what is kept."""
    beat = connection.execute(_LAST_BEAT).scalar()
    added = connection.execute(_LAST_ADDED).scalar()
    return max(wall_clock(connection, now), beat or 0, added or 0)


def ahead(connection: Connection) -> int:
    """By how many microseconds the steady time of the gateways at work is ahead of the wall clock that they share; 0
    also where the two differ by no more than a correction of that clock."""
    row = connection.execute(_NEWEST).first()
    micros = row.steady_at - row.wall_at if row is not None else 0
    return micros if abs(micros) >= JUMP_MICROS else 0


def beat(connection: Connection, gateway: str, *, now: int, padding: bytes) -> int:
    """Write the row of `gateway`; returns the latest steady time of all. `padding` is kept until the next beat."""
    steady = steady_of(connection, now, now=now)
    values = {"steady_at": steady, "wall_at": wall_clock(connection, now), "padding": padding}
    if not connection.execute(_BEAT, {"the_gateway": gateway, **values}).rowcount:
        connection.execute(insert(heartbeats), {"gateway": gateway, **values})
        connection.execute(_FORGET, {"before": steady - FORGOTTEN_MICROS})
    return int(connection.execute(_LAST_BEAT).scalar_one())


_SERVER_CLOCK: Final = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)")
_LAST_BEAT: Final = select(func.max(heartbeats.c.steady_at))
_LAST_ADDED: Final = select(outbox.c.waits_since).order_by(outbox.c.id.desc()).limit(1)
_NEWEST: Final = select(heartbeats.c.steady_at, heartbeats.c.wall_at).order_by(heartbeats.c.steady_at.desc()).limit(1)
_BEAT: Final = update(heartbeats).where(heartbeats.c.gateway == bindparam("the_gateway"))
_FORGET: Final = delete(heartbeats).where(heartbeats.c.steady_at < bindparam("before"))
