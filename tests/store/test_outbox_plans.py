"""What the worker asks all day long goes through the partial indexes, however much has been done before."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, Executable, text

from gateway.store import Store, outbox, outbox_claims, outbox_looks, receiver_work
from tests.store.plans import asked_by, plan_of
from tests.store.work import KIND

NOW = 1_900_000_000_000_000
ROWS, WAITING = 100_000, 200


_FILL = """
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows - 1)
INSERT INTO outbox (kind, lane, subject, payload, state, due_at, attempts, lease, lease_until, created_at)
SELECT 'ehr:test', 'ehr:test|' || n, CAST(n AS TEXT), '{}', CASE WHEN n < :waiting THEN 'pending' ELSE 'done' END,
       :now - n, 1, '', 0, :now FROM numbers
"""


def _fill(connection: Connection) -> None:
    connection.execute(text(_FILL), {"rows": ROWS, "waiting": WAITING, "now": NOW})


OF = {"the_kind": str(KIND), "the_target": KIND.target}
PARKED = {"the_kind": str(KIND), "the_state": "parked"}
QUERIES: dict[str, tuple[Executable, dict[str, Any], str]] = {
    "claim": (
        outbox_claims.CLAIM,
        {**OF, "now": NOW, "the_limit": 8, "the_lease": "x", "until": NOW},
        "ix_outbox_active_",
    ),
    "any active": (outbox_looks.ANY_ACTIVE, {}, "ix_outbox_state_id"),
    "has_due": (outbox_looks.HAS_DUE, {**OF, "now": NOW}, "ix_outbox_active_"),
    "next_due": (outbox_looks.NEXT_DUE, {**OF}, "ix_outbox_active_"),
    "next lease end": (outbox_looks.NEXT_LEASE_END, {**OF}, "ix_outbox_"),
    "postpone": (outbox._POSTPONED, {"the_lane": f"{KIND}|7", "the_due": NOW, "longest": 1}, "ix_outbox_active_lane"),
    "supersede": (
        outbox._SUPERSEDE,
        {"the_subject": "7", "the_lane": f"{KIND}|7", "now": NOW},
        "ix_outbox_subject",
    ),
    "count": (receiver_work.COUNT, PARKED, "ix_outbox_"),
    "newest": (receiver_work.NEWEST, PARKED, "ix_outbox_"),
    "latest": (outbox._LATEST, {"the_subject": "7", "the_lane": f"{KIND}|7"}, "ix_outbox_subject"),
}


@pytest.fixture
async def full(store: Store) -> Store:
    await store.write(_fill)
    return store


async def test_no_query_of_the_worker_reads_what_is_done(full: Store) -> None:
    await full.write(_analyze)
    await _check_plans(full)
    await full.write(_fail_for_long)
    await _check_plans(full)


async def test_what_is_due_is_neither_sorted_nor_counted(full: Store) -> None:
    names = ("claim", "any active", "has_due", "next_due")
    plans = await full.write(lambda connection: {name: _plan(connection, *QUERIES[name]) for name in names})
    await full.write(_analyze)
    analyzed = await full.write(lambda connection: {name: _plan(connection, *QUERIES[name]) for name in names})
    for plan in (*plans.values(), *analyzed.values()):
        assert "Sort" not in plan, plan
        assert "TEMP B-TREE" not in plan, plan


def _analyze(connection: Connection) -> None:
    connection.exec_driver_sql("ANALYZE")


def _fail_for_long(connection: Connection) -> None:
    """Let a quarter of all work wait, behind what is done: a planner takes the next row for one that waits."""
    connection.execute(text("UPDATE outbox SET state = 'pending' WHERE id > :rows"), {"rows": ROWS * 3 // 4})
    connection.exec_driver_sql("ANALYZE")


async def _check_plans(store: Store) -> None:
    plans = await store.write(lambda connection: {name: _plan(connection, *query) for name, query in QUERIES.items()})
    for name, (_, _, index) in QUERIES.items():
        plan = plans[name]
        assert index in plan, f"{name}:\n{plan}"
        assert "Seq Scan on outbox" not in plan, f"{name}:\n{plan}"
        for line in plan.splitlines():
            assert not (line.lstrip().startswith("SCAN") and "outbox" in line and "USING INDEX ix_" not in line), (
                f"{name}:\n{plan}"
            )


def _plan(connection: Connection, query: Executable, values: dict[str, Any], _index: str) -> str:
    """How the database goes about the statement that is really sent."""

    def work(connection: Connection) -> None:
        with connection.begin_nested() as savepoint:
            connection.execute(query, values).close()
            savepoint.rollback()

    [asked] = [one for one in asked_by(connection, work) if "outbox" in one[0]]
    return "\n".join(plan_of(connection, *asked))
