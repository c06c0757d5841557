"""How much work of a kind is in a state, and when the newest of it ended: by an index, and bounded."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from gateway.records.work import WorkKind, WorkState
from gateway.store.schema import outbox
from gateway.store.waiting import MOST_COUNTED

_OF = (outbox.c.kind == bindparam("the_kind"), outbox.c.state == bindparam("the_state"))
COUNT: Final = select(func.count()).select_from(select(outbox.c.id).where(*_OF).limit(MOST_COUNTED).subquery())
NEWEST: Final = select(outbox.c.finished_at).where(*_OF).order_by(outbox.c.id.desc()).limit(1)


def count(connection: Connection, kind: WorkKind, state: WorkState) -> int:
    """Rows of a kind in a state, `MOST_COUNTED` at most."""
    return int(connection.execute(COUNT, _values(kind, state)).scalar_one())


def last_end(connection: Connection, kind: WorkKind, state: WorkState) -> int | None:
    """When the newest row of a kind in a state ended, microseconds; None: there is none, or it has not ended."""
    return connection.execute(NEWEST, _values(kind, state)).scalar()


def _values(kind: WorkKind, state: WorkState) -> dict[str, str]:
    return {"the_kind": str(kind), "the_state": state.value}
