"""The work of the outbox for people, by receiver and state; and all work of a receiver tried again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.operations.bulk import each_page
from gateway.operations.receivers import receiver_of
from gateway.records.receiver import Receiver
from gateway.records.row_ids import WorkRow
from gateway.records.work import PROCEDURE, REQUEST, SERVE, SETTLE, WorkState
from gateway.store import Store, outbox_listing, outbox_pages
from gateway.store.outbox import PAGE

OWN: Final = "."
"""Stands for work without a receiver: settling of studies, making of resources. No receiver has this name."""
OWN_KINDS: Final = (SETTLE, REQUEST, PROCEDURE, SERVE)
RETRIED: Final = (WorkState.PENDING, WorkState.PARKED, WorkState.REJECTED)
"""In this order: what was parked waits afterwards, and is not to be taken a second time."""


@dataclass(frozen=True, slots=True)
class WorkPage:
    """One page of the work that was asked for."""

    rows: Sequence[dict[str, Any]]
    count: int
    """Of all that was asked for, on whatever page."""
    is_whole: bool
    """False: there are more than `count`."""
    next_before: int | None
    """`before` of the next page; None: this is the last."""


def work_page(
    connection: Connection,
    receivers: Sequence[Receiver],
    *,
    name: str = "",
    state: WorkState | None = None,
    limit: int,
    before: int | None = None,
) -> WorkPage:
    """Work of a receiver (`OWN`: of the gateway itself; empty: all) in a state (None: in all), newest first.

    Raises `UnknownKey` without such a receiver.
    """
    wanted = _filter(receivers, name, state)
    rows = outbox_pages.page(connection, wanted, limit=limit + 1, before=before)
    count = outbox_pages.count(connection, wanted)
    is_whole, rest = count <= outbox_pages.MOST_COUNTED, len(rows) > limit
    page = rows[:limit]
    return WorkPage(page, min(count, outbox_pages.MOST_COUNTED), is_whole, page[-1]["id"] if rest else None)


def _filter(receivers: Sequence[Receiver], name: str, state: WorkState | None) -> outbox_pages.WorkFilter:
    states = () if state is None else (state,)
    if not name:
        return outbox_pages.WorkFilter((), states)
    kinds = OWN_KINDS if name == OWN else receiver_of(receivers, name).kinds
    return outbox_pages.WorkFilter(kinds, states)


async def retry_receiver(store: Store, receiver: Receiver, clock: Clock) -> tuple[list[WorkRow], list[str]]:
    """Make due now what is parked or rejected for a receiver, and what waits there for another try: the ids, and why
    others stay."""
    done, left = list[WorkRow](), list[str]()
    change = partial(outbox_listing.replay, now=clock())
    for kind in receiver.kinds:
        for state in RETRIED:
            pages = partial(outbox_pages.behind, kind=kind, state=state, limit=PAGE)
            changed, stay = await each_page(store, pages, change)
            done += changed
            left += stay
    return done, left
