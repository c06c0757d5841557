"""What scanners asked is logged, with its event of the audit trail."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection, Select, func, select

from gateway.journey.worklist.query_log import QueryLog
from gateway.records.row_ids import StepRow
from gateway.store import Store
from gateway.store.scanner_queries import ScannerQuery
from gateway.store.schema import queries, query_matches
from tests.store.audit_events import events_of
from tests.store.test_audit import happened


def _number(connection: Connection, wanted: Select[int]) -> int:
    return connection.execute(wanted).scalar_one()


async def test_a_step_that_was_deleted_since_is_not_named(store: Store) -> None:
    """SQLite may give its number to the step of another order, which nobody has shown."""
    log = QueryLog(store)
    for number, matches in ((1, []), (2, [StepRow(4711)])):
        log.note(ScannerQuery(number, "CT1", "10.0.0.7", {}, 0, matches, 1), partial(happened, number))
    await log.close()
    assert len(await store.read(events_of)) == 2
    counted = [select(func.count()).select_from(table) for table in (queries, query_matches)]
    assert [await store.read(partial(_number, wanted=one)) for one in counted] == [2, 0]
