"""Something done to much work, page by page: others must not wait long for the writer."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from gateway.errors import UnknownKey
from gateway.records.row_ids import WorkRow
from gateway.store import Store, outbox_listing
from gateway.store.outbox_listing import BEGINNING, Change, ChangedPage


class Pages(Protocol):
    """Ids of the next page of work behind an id."""

    def __call__(self, connection: Connection, *, after: WorkRow) -> list[WorkRow]: ...


async def each_page(store: Store, pages: Pages, change: Change) -> tuple[list[WorkRow], list[str]]:
    """Do it to the work of every page: the ids it was done to, and why not to others."""
    done, left, after = list[WorkRow](), list[str](), BEGINNING
    while True:
        page = await store.write(partial(_page, pages=pages, change=change, after=after))
        if page.last is None:
            return done, left
        done += page.done
        left += page.left
        after = page.last


def _page(connection: Connection, pages: Pages, change: Change, after: WorkRow) -> ChangedPage:
    return outbox_listing.change_each(connection, pages(connection, after=after), change)


async def each_of_cause(store: Store, key: str, change: Change) -> tuple[list[WorkRow], list[str]]:
    """The same to all work that is parked or rejected for a cause. Raises `UnknownKey` when there is none."""
    done, left = await each_page(store, partial(outbox_listing.of_cause, key=key), change)
    if not done and not left:
        raise UnknownKey("nothing is parked for this cause", place=f"cause {key}")
    return done, left
