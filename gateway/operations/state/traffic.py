"""What came and went in the last 24 hours, hour by hour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from sqlalchemy import Connection

from gateway.records.work import WorkKind
from gateway.store import Store, recent
from gateway.store.traffic import TABLES, Counted, Span, counted

HOURS: Final = 24
HOUR: Final = 3_600 * 1_000_000
CHANGING: Final = 2
"""The hour that runs and the one before, of which deliveries may still end, are counted each time."""
FRESH: Final = 60 * 1_000_000
"""So long what was counted serves all who ask."""


class HourCounted(NamedTuple):
    begins_at: int
    """Microseconds since 1970 UTC."""
    counted: Counted


class Traffic:
    """Keeps what it has counted. `kinds`: the work that is a delivery."""

    def __init__(self, kinds: Iterable[WorkKind]) -> None:
        self._kinds = tuple(kinds)
        self._firsts: dict[tuple[str, int], int] = {}
        """(table, beginning of an hour) -> id of the first row since then."""
        self._counted: dict[int, Counted] = {}
        self._at: int | None = None
        self._hours: list[HourCounted] = []

    async def of(self, store: Store, now: int) -> list[HourCounted]:
        """The last 24 hours, the oldest first; at most a minute old. Raises `Unavailable`."""
        if self._at is None or not 0 <= now - self._at < FRESH:
            self._hours = await store.read(lambda connection: self._read(connection, now))
            self._at = now
        return self._hours

    def _read(self, connection: Connection, now: int) -> list[HourCounted]:
        running = now // HOUR * HOUR
        hours = [running - HOUR * number for number in range(HOURS - 1, -1, -1)]
        firsts: dict[tuple[str, int], int] = {}
        for table in TABLES:
            low = None
            for hour in hours:
                low = self._firsts.get((table, hour)) or recent.first_since(connection, table, hour, low=low)
                firsts[table, hour] = low
            firsts[table, running + HOUR] = recent.newest_id(connection, table) + 1
        kept = {}
        for number, hour in enumerate(hours):
            is_over = number < HOURS - CHANGING
            if is_over and hour in self._counted:
                kept[hour] = self._counted[hour]
                continue
            spans = {table: Span(firsts[table, hour], firsts[table, hour + HOUR]) for table in TABLES}
            kept[hour] = counted(connection, spans, self._kinds)
        self._counted = kept
        # Of the hour that runs the beginning stays as well, once a row has come in it.
        self._firsts = {key: first for key, first in firsts.items() if key[1] < running}
        return [HourCounted(hour, kept[hour]) for hour in hours]
