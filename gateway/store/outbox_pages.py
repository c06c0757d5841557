"""Pages of work by receiver and state, for people: each page and each count by an index, however much has been done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select, union_all

from gateway.records.row_ids import WorkRow
from gateway.records.work import WorkKind, WorkState
from gateway.store.outbox_listing import LISTED, by_the_wall_clock
from gateway.store.schema import outbox

MOST_COUNTED: Final = 10_000


@dataclass(frozen=True, slots=True)
class WorkFilter:
    """Which work is wanted."""

    kinds: Sequence[WorkKind] = ()
    """Empty: of all kinds."""
    states: Sequence[WorkState] = ()
    """Empty: in all states."""

    def branches(self) -> list[Select[Any]]:
        """Ids of the wanted rows: selects of which each goes along one index, in the order of ids."""
        wanted = select(outbox.c.id)
        if not self.kinds and not self.states:
            return [wanted]
        if not self.kinds:
            return [wanted.where(outbox.c.state == state.value) for state in self.states]
        pairs = product(self.kinds, self.states or tuple(WorkState))
        return [wanted.where(outbox.c.kind == str(kind), outbox.c.state == state.value) for kind, state in pairs]


def page(connection: Connection, wanted: WorkFilter, *, limit: int, before: int | None = None) -> list[dict[str, Any]]:
    """The newest `limit` rows, of those with a lower id than `before`; without their payloads."""
    bound = () if before is None else (outbox.c.id < before,)
    newest_first = outbox.c.id.desc()
    parts = [one.where(*bound).order_by(newest_first).limit(limit).subquery() for one in wanted.branches()]
    ids = union_all(*(select(part.c.id) for part in parts)).subquery()
    newest = select(ids.c.id).order_by(ids.c.id.desc()).limit(limit)
    rows = connection.execute(select(*LISTED).where(outbox.c.id.in_(newest)).order_by(newest_first))
    return by_the_wall_clock(connection, rows.mappings())


def count(connection: Connection, wanted: WorkFilter) -> int:
    """How many rows there are; `MOST_COUNTED` + 1: more than `MOST_COUNTED`."""
    most = MOST_COUNTED + 1
    total = 0
    for one in wanted.branches():
        if total >= most:
            break
        total += int(connection.execute(select(func.count()).select_from(one.limit(most).subquery())).scalar_one())
    return min(total, most)


def behind(connection: Connection, kind: WorkKind, state: WorkState, *, after: WorkRow, limit: int) -> list[WorkRow]:
    """Ids of work of a kind in a state behind the id `after`, the oldest first; of work that waits what was tried."""
    [ids] = WorkFilter((kind,), (state,)).branches()
    if state is WorkState.PENDING:
        ids = ids.where(outbox.c.attempts > 0)
    return list(connection.execute(ids.where(outbox.c.id > after).order_by(outbox.c.id).limit(limit)).scalars())
