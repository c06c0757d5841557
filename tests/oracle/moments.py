"""Which moment a stated time is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from tests.oracle.message import Arrival, Message

ZONE: Final = ZoneInfo("Europe/Berlin")
"""The site's."""
CREATING: Final = frozenset({"NW", "SN", "RO", "CH", "XO", "XX"})
"""ORC-1 that bring a step into the worklist (4.5.1.1)."""


def moment_of(arrival: Arrival) -> datetime:
    """The moment that a time without an offset states.

    2.A.22: without an offset the time is that of the sender's zone. In autumn an hour comes twice; nothing is stated
    before it happens, so it is the later of the two unless the message came before that.
    """
    stated = arrival.message.at.astimezone(ZONE).replace(tzinfo=None)
    first, second = (stated.replace(tzinfo=ZONE, fold=fold).astimezone(UTC) for fold in (0, 1))
    return second if second <= arrival.received else first


def in_order(arrivals: Iterable[Arrival]) -> list[Message]:
    """By the time that is stated; of one time those that create first, then as received (docs/decisions/0006)."""

    def key(arrival: Arrival) -> tuple[datetime, bool, datetime]:
        return moment_of(arrival), not _creates(arrival.message), arrival.received

    return [arrival.message for arrival in sorted(arrivals, key=key)]


def _creates(message: Message) -> bool:
    return any(group.control in CREATING for group in message.groups)
