"""Tries of work that failed, each with its time and cause: the row of the outbox holds the newest alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from gateway.errors import Fate
from gateway.records.row_ids import WorkRow
from gateway.store.schema import work_tries

KEPT: Final = 20
"""Of a piece of work, the newest."""
LONGEST: Final = 2_000
"""Characters of an error that are kept."""

_OLDEST_KEPT: Final = (
    select(work_tries.c.id)
    .where(work_tries.c.work == bindparam("the_work"))
    .order_by(work_tries.c.id.desc())
    .offset(KEPT - 1)
    .limit(1)
    .scalar_subquery()
)
_FORGET: Final = delete(work_tries).where(work_tries.c.work == bindparam("the_work"), work_tries.c.id < _OLDEST_KEPT)
_OF: Final = (
    select(work_tries).where(work_tries.c.work.in_(bindparam("rows", expanding=True))).order_by(work_tries.c.id)
)


def add(
    connection: Connection, work: WorkRow, *, attempt: int, failed_at: int, fate: Fate, outcome: Mapping[str, Any]
) -> None:
    """Keep a try; `attempt` counts from 1, `failed_at` is in microseconds. The oldest beyond `KEPT` go."""
    why = {key: str(outcome[key])[:LONGEST] for key in ("error", "place") if outcome.get(key)}
    row = {"work": work, "attempt": attempt, "failed_at": failed_at, "fate": fate.value, "outcome": why}
    connection.execute(insert(work_tries), row)
    if attempt > KEPT:
        connection.execute(_FORGET, {"the_work": work})


def of(connection: Connection, works: Sequence[WorkRow]) -> dict[WorkRow, list[dict[str, Any]]]:
    """The tries of each piece of work, the oldest first."""
    tries: dict[WorkRow, list[dict[str, Any]]] = {work: [] for work in works}
    for row in connection.execute(_OF, {"rows": list(works)}).mappings() if works else ():
        tries[row["work"]].append(dict(row))
    return tries


def delete_of(connection: Connection, works: Sequence[WorkRow]) -> None:
    """Forget all tries of this work."""
    connection.execute(delete(work_tries).where(work_tries.c.work.in_(works)))
