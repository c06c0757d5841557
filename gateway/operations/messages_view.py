"""The page of all messages: what calls for a person by cause, messages as wanted, and what arrived unreadable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from sqlalchemy import Connection

from gateway.operations.put_away import OpenCauses, open_causes
from gateway.store import message_listing, refusals
from gateway.store.message_listing import Page, Unserved, Wanted

MOST_REFUSALS = 50


@dataclass(frozen=True, slots=True)
class MessagesView:
    causes: OpenCauses
    page: Page
    refusals: list[dict[str, Any]]
    """Newest first; of those that were put away, where such messages are wanted."""
    unserved: list[Unserved]
    """Messages of types that are not served."""


def messages_view(connection: Connection, wanted: Wanted, *, limit: int, before: int | None) -> MessagesView:
    """What a page of messages shows."""
    return MessagesView(
        open_causes(connection),
        message_listing.page(connection, wanted, limit=limit, before=before),
        refusals.listing(connection, limit=MOST_REFUSALS, put_away=bool(wanted.put_away)),
        message_listing.unserved(connection),
    )


def bounds_of(day: str, zone: tzinfo) -> tuple[int | None, int | None]:
    """A DA as the microseconds at which the day begins and ends in `zone`; (None, None) for an empty one."""
    if not day:
        return None, None
    first = datetime.combine(date.fromisoformat(day), time(), zone)
    last = datetime.combine(first.date() + timedelta(days=1), time(), zone)
    return int(first.timestamp() * 1_000_000), int(last.timestamp() * 1_000_000)
