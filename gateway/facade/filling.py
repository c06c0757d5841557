"""Studies that were settled before the facade was switched on."""

from __future__ import annotations

from functools import partial
from typing import Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.store import Store, imaging_studies, outbox

BATCH: Final = 200


async def fill(store: Store, clock: Clock) -> int:
    """Let every study that is not served yet be looked at again, oldest first; returns their number.

    An EHR that has such a study already is not told of it a second time.
    """
    after = total = 0
    while found := await store.read(partial(imaging_studies.not_kept, after=after, limit=BATCH)):
        await store.write(partial(_settle, uids=[uid for _, uid in found], now=clock()))
        after, total = found[-1][0], total + len(found)
    return total


def _settle(connection: Connection, uids: list[str], now: int) -> None:
    for uid in uids:
        outbox.settle_soon(connection, uid, now=now)
