"""Pages of work by receiver and state, and how many rows there are, without reading what is not asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, text

from gateway.records.row_ids import WorkRow
from gateway.records.work import SETTLE, WorkState, delivery_to
from gateway.store import Store, outbox_pages
from gateway.store.outbox_pages import WorkFilter
from tests.store.plans import asked_by, plan_of
from tests.store.work import KIND

ROWS = 50_000
RARE = delivery_to("rare")
_FILL = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)
INSERT INTO outbox (id, kind, lane, subject, payload, state, due_at, attempts, lease, lease_until, created_at)
SELECT n, CASE WHEN n % 10000 = 0 THEN 'ehr:rare' ELSE 'ehr:test' END, 'x|' || n, CAST(n AS TEXT), '{}',
       CASE WHEN n % 1000 = 0 THEN 'parked' ELSE 'done' END, 1, 1, '', 0, 1 FROM numbers
"""


@pytest.fixture
async def full(store: Store) -> Store:
    def fill(connection: Connection) -> None:
        connection.execute(text(_FILL), {"rows": ROWS})
        connection.exec_driver_sql("ANALYZE")

    await store.write(fill)
    return store


async def ids(store: Store, wanted: WorkFilter, *, limit: int = 3, before: int | None = None) -> list[int]:
    rows = await store.read(partial(outbox_pages.page, wanted=wanted, limit=limit, before=before))
    return [row["id"] for row in rows]


async def count(store: Store, wanted: WorkFilter) -> int:
    return await store.read(partial(outbox_pages.count, wanted=wanted))


async def test_pages_and_counts(full: Store) -> None:
    assert await ids(full, WorkFilter()) == [50_000, 49_999, 49_998]
    assert await ids(full, WorkFilter((RARE, SETTLE))) == [50_000, 40_000, 30_000]
    assert await ids(full, WorkFilter((RARE,), (WorkState.PARKED,)), before=30_000) == [20_000, 10_000]
    assert await ids(full, WorkFilter((), (WorkState.PARKED, WorkState.DONE))) == [50_000, 49_999, 49_998]
    assert await ids(full, WorkFilter((KIND,), (WorkState.PARKED,)), before=2_000) == [1_000]
    assert await count(full, WorkFilter((RARE,))) == 5
    assert await count(full, WorkFilter((), (WorkState.PARKED,))) == 50
    assert await count(full, WorkFilter()) == await count(full, WorkFilter((KIND,))) == outbox_pages.MOST_COUNTED + 1


async def test_work_behind_an_id(full: Store) -> None:
    behind = partial(outbox_pages.behind, kind=RARE, state=WorkState.PARKED, limit=2)
    assert await full.read(partial(behind, after=WorkRow(0))) == [10_000, 20_000]
    assert await full.read(partial(behind, after=WorkRow(40_000))) == [50_000]


def plans(connection: Connection, work: Callable[[Connection], Any]) -> list[str]:
    """How the database goes about each statement of `work`."""
    return ["\n".join(plan_of(connection, *asked)) for asked in asked_by(connection, work)]


async def test_a_receiver_with_few_rows_is_read_along_the_index(full: Store) -> None:
    wanted = WorkFilter((RARE,), (WorkState.PARKED, WorkState.DONE))
    for work in (partial(outbox_pages.page, wanted=wanted, limit=50), partial(outbox_pages.count, wanted=wanted)):
        for plan in await full.write(partial(plans, work=work)):
            assert "Seq Scan on outbox" not in plan, plan
            assert "ix_outbox_kind_state_id" in plan or "ix_outbox_stuck" in plan, plan
