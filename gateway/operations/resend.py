"""Deliveries sent once more although nothing has changed: for an EHR that has lost data."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import UnknownKey
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.work import Lane, delivery_to
from gateway.store import Store, outbox


async def resend_study(store: Store, study_uid: StudyInstanceUID, clock: Clock) -> int:
    """Send once more what was delivered last of a study and its order; returns the number of deliveries.

    Raises `UnknownKey` when nothing of the study was delivered, or all of it waits or is parked.
    """
    count = await store.write(lambda connection: outbox.repeat_study(connection, study_uid, now=clock()))
    if not count:
        raise UnknownKey("nothing of this study was delivered, or what was waits or is parked", place=study_uid)
    return count


async def resend_all(store: Store, ehr: str, clock: Clock, *, first: int, per_second: float) -> AsyncIterator[int]:
    """Send an EHR once more what it was sent last of every study and order, if that was added at `first` or later.

    `first`: microseconds. The deliveries fall due at the rate given, so that today's are not held up. Yields, page by
    page, how many have been added so far.
    """
    after, added, start = 0, 0, clock()
    # Not by the time of this moment: rows that were added while a clock was ahead are dated after it.
    last = await store.read_long(outbox.last_row)
    while page := await store.read_long(
        partial(outbox.lanes_since, kind=delivery_to(ehr), first=first, last=last, after=after, limit=outbox.PAGE)
    ):
        after = page[-1][0]
        added = await store.write(
            partial(_repeat, lanes=[lane for _, lane in page], added=added, start=start, per_second=per_second)
        )
        yield added


def _repeat(connection: Connection, lanes: Sequence[Lane], added: int, start: int, per_second: float) -> int:
    for lane in lanes:
        due_at = start + round(added * 1_000_000 / per_second)
        added += outbox.repeat(connection, lane, now=start, due_at=due_at)
    return added
