"""What needs a person: deliveries that were parked and messages that were not applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from gateway.records.work import STUCK
from gateway.store import messages, outbox_listing, put_away


@dataclass(frozen=True, slots=True)
class ParkedWork:
    """Parked or rejected deliveries and messages that were not applied, at most so many of each as were asked for."""

    deliveries: list[dict[str, Any]]
    more_deliveries: int
    messages: list[dict[str, Any]]
    more_messages: int
    not_served: Sequence[Mapping[str, Any]]
    """Types of messages that no rule serves, with their numbers: no alarm."""
    refusals: int
    """What arrived unreadable and was not put away."""

    def as_json(self) -> dict[str, Any]:
        """The JSON that `gateway parked --json` prints."""
        return asdict(self)


def parked_work(connection: Connection, *, most: int) -> ParkedWork:
    """At most `most` deliveries and `most` messages that need a person, newest first, and how many more there are."""
    deliveries = outbox_listing.listing(connection, states=STUCK, limit=most)
    failed = messages.wrong(connection, limit=most)
    return ParkedWork(
        deliveries,
        outbox_listing.count_stuck(connection) - len(deliveries),
        failed,
        messages.count_wrong(connection) - len(failed),
        messages.unserved(connection),
        len(put_away.open_refusals(connection)),
    )


def unserved_text(row: Mapping[str, Any]) -> str:
    """A line about the messages of a type that is not served."""
    newest = datetime.fromtimestamp(row["last"] / 1e6, UTC)
    return f"{row['count']} {row['type'].strip('^') or '(no type)'}: not served, last {newest:%Y-%m-%dT%H:%M:%S}Z"
