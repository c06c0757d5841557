"""The smallest unit that writes: one row of `refusals`, told by its reason."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, insert, select

from gateway.store import Store
from gateway.store.schema import refusals


def note(reason: str, body: bytes = b"") -> Callable[[Connection], str]:
    """A unit that keeps `reason` and returns it."""

    def unit(connection: Connection) -> str:
        connection.execute(
            insert(refusals), {"refused_at": 1, "source": "test", "reason": reason, "body": body}
        )  # fmt: skip
        return reason

    return unit


def noted(connection: Connection) -> list[str]:
    """What was kept, in the order of the ids."""
    return list(connection.execute(select(refusals.c.reason).order_by(refusals.c.id)).scalars())


async def kept(store: Store) -> list[str]:
    """What another connection sees of it."""
    return await store.read(noted)
