"""Something done to all work that is parked or rejected for one cause, page by page: others must not wait long."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection

from gateway.errors import UnknownKey
from gateway.records.row_ids import WorkRow
from gateway.store import Store
from gateway.store.outbox_listing import BEGINNING, CausePage

PageChange = Callable[[Connection, WorkRow], CausePage]
"""What is done to one page of a cause, of rows behind an id."""


async def each_of_cause(store: Store, key: str, change: PageChange) -> tuple[list[WorkRow], list[str]]:
    """Do it to every page: the ids it was done to, and why not to others. Raises `UnknownKey` for a cause for which
    nothing is parked or rejected."""
    done, left, after = list[WorkRow](), list[str](), BEGINNING
    while True:
        page = await store.write(partial(_page, change=change, after=after))
        if page.last is None:
            break
        done += page.done
        left += page.left
        after = page.last
    if not after:
        raise UnknownKey("nothing is parked for this cause", place=f"cause {key}")
    return done, left


def _page(connection: Connection, change: PageChange, after: WorkRow) -> CausePage:
    return change(connection, after)
