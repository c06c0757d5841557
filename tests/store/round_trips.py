"""Round trips to PostgreSQL, counted by libpq's own trace of the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from gateway.store import Store

WAITED_FOR: Final = {"Flush", "Sync", "Query"}
"""Messages of PostgreSQL's protocol behind which its client waits."""


@dataclass
class Sent:
    """What the writer of a store has sent."""

    waits: list[str] = field(default_factory=list)
    """The message behind which the client waited, for each round trip."""
    lines: list[str] = field(default_factory=list)
    """All messages."""


@contextmanager
def counted(connection: Any, path: Path) -> Iterator[Sent]:
    """Count what goes over a connection of psycopg within the block; known at its end."""
    sent = Sent()
    with path.open("w+") as protocol:
        connection.pgconn.trace(protocol.fileno())
        try:
            yield sent
        finally:
            connection.pgconn.untrace()
        protocol.seek(0)
        lines = [line.split("\t") for line in protocol if "\tF\t" in line]
    kinds = [line[3].strip() for line in lines]
    # A Flush right behind a Sync asks for what the Sync has asked for already: psycopg sends that where the answer has
    # not come by then.
    sent.waits = [
        kind for before, kind in pairwise(["", *kinds]) if kind in WAITED_FOR and (before, kind) != ("Sync", "Flush")
    ]
    sent.lines = [line[-1] for line in lines]


async def writing(store: Store) -> Any:
    """The connection of the writer of a store, as the driver has it."""

    def raw(connection: Connection) -> Any:
        return connection.connection.dbapi_connection

    return await store.write(raw)
