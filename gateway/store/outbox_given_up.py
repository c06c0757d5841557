"""Work that a person gives up: it is not done, nobody is asked about it any more, and its row stays with the note."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from gateway.errors import Conflict, UnknownKey
from gateway.records.row_ids import WorkRow
from gateway.records.work import TRANSITIONS, Activity, WorkEvent, WorkKind, WorkState
from gateway.store.schema import outbox
from gateway.store.writer import announce


def give_up(connection: Connection, ids: Sequence[WorkRow], *, person: str, note: str, now: int) -> list[WorkRow]:
    """Give parked, rejected or waiting work up; returns the ids.

    Raises `UnknownKey` for an id that does not exist, `Conflict` for work that is done, under way or superseded, and
    for a poll: the next one follows it, so that nobody would ask its source any more.
    """
    wanted = (
        select(outbox.c.id, outbox.c.kind, outbox.c.state, outbox.c.outcome)
        .where(outbox.c.id.in_(ids))
        .order_by(outbox.c.id)
        .with_for_update()
    )
    rows = {row.id: row for row in connection.execute(wanted)}
    for one in ids:
        if one not in rows:
            raise UnknownKey(f"there is no delivery {one}", place=f"delivery {one}")
        if (WorkState(rows[one].state), WorkEvent.GIVE_UP) not in TRANSITIONS:
            raise Conflict(
                f"it is {rows[one].state}; only parked, rejected or pending work can be given up",
                place=f"delivery {one}",
            )
        if (kind := WorkKind.of(rows[one].kind)).activity is Activity.POLL:
            raise Conflict(
                f"it is the next poll of {kind.target}, and others follow it; gateway pause {kind.target} stops them",
                place=f"delivery {one}",
            )
    for row in rows.values():
        outcome = {**(row.outcome or {}), "given_up": {"at": now, "person": person, "note": note}}
        values = {"state": WorkState.GIVEN_UP.value, "finished_at": now, "outcome": outcome}
        connection.execute(update(outbox).where(outbox.c.id == row.id), values)
    # What waited behind it in its lane may be due.
    announce(connection)
    return list(ids)
