"""Studies that were settled while the facade was switched off."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.work import SERVE, Lane
from gateway.store import Store, imaging_studies, outbox


async def fill(store: Store, clock: Clock) -> int:
    """Let every study that is not served as it was settled last be kept, oldest first; returns their number.

    They are a kind of work of their own, so that no study that arrives now waits behind them.
    """
    after: int | None = 0
    total = 0
    while after is not None:
        after, uids = await store.read(partial(imaging_studies.not_kept, after=after, limit=outbox.PAGE))
        if uids:
            await store.write(partial(_serve, uids=uids, now=clock()))
            total += len(uids)
    return total


def _serve(connection: Connection, uids: list[StudyInstanceUID], now: int) -> None:
    for uid in uids:
        outbox.postpone(connection, Lane(SERVE, uid), due_at=now, now=now)
