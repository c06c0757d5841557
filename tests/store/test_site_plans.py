"""What is asked all day long, whatever a site has done before, is found by an index: of what is open by a partial one.

SQLite counts no rows unless somebody lets it, so the plans are those of a database without statistics.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest
from sqlalchemy import Connection, text

from gateway.clock import now
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.message import MessageState
from gateway.records.row_ids import OrderRow, PerformedStepRow
from gateway.records.search import SearchParameters, TokenAsked
from gateway.records.work import SETTLE
from gateway.store import (
    Store,
    audit_listing,
    imaging_studies,
    lookups,
    message_listing,
    messages,
    order_conflicts,
    outbox_listing,
    performed_steps,
    scheduled_steps,
    silent_steps,
    study_findings,
    traffic,
    turnaround,
    worklist,
)
from gateway.store.export_orders import in_ehr
from gateway.store.message_listing import Wanted
from gateway.store.schema import ENDED, metadata
from tests.store.plans import asked_by, plan_of, plans_of
from tests.web.served import whole_journey

OPEN: Final = {
    str(index.name)
    for table in metadata.tables.values()
    for index in table.indexes
    if index.dialect_options["sqlite"]["where"] is not None
}
HIDDEN: Final = (*ENDED, "HELD")
COMMON: Final = SearchParameters(tokens=(("status", (TokenAsked(None, "available"),)),), sort="started")
QUESTIONS: Final[dict[str, Callable[[Connection], Any]]] = {
    "steps without a sign of life": lambda c: silent_steps.quiet_since(
        c, now(), noticed_since=0, after=PerformedStepRow(1), limit=100
    ),
    "list of these": lambda c: silent_steps.listing(c, limit=20),
    "number of these": silent_steps.count,
    "worklist for people": lambda c: worklist.scheduled(c, hidden=HIDDEN, first_day="20200101"),
    "worklist of a modality": lambda c: worklist.scheduled(c, hidden=HIDDEN, modality="CT"),
    "studies that need a look": order_conflicts.counts,
    "work by receiver and state": outbox_listing.counts,
    "messages without effect": lambda c: lookups.newest_without_effect(c, limit=100),
    "rejected messages": lambda c: message_listing.page(c, Wanted(state=MessageState.REJECTED), limit=100),
    "rejected messages by the API": lambda c: messages.listing(c, state=MessageState.REJECTED),
    "what came and went": lambda c: traffic.counted(c, dict.fromkeys(traffic.TABLES, traffic.Span(1, 9)), [SETTLE]),
    "audit from a moment on": lambda c: audit_listing.sequence_at(c, now()),
    "a page of what very many studies have": lambda c: c.execute(imaging_studies.page(COMMON, {0})).all(),
    "studies that are not served": lambda c: imaging_studies.not_kept(c, after=0, limit=200),
}


@pytest.fixture
async def journey(sqlite_url: str) -> Any:
    store = await Store.open(sqlite_url)
    await store.write(whole_journey)
    yield store
    await store.close()


async def test_nothing_is_asked_of_a_whole_table(journey: Store) -> None:
    for name, question in QUESTIONS.items():
        plans = await journey.read(partial(plans_of, work=question))
        assert plans, name
        assert [(name, *one) for one in plans if _is_whole(*one)] == []


def _is_whole(statement: str, line: str) -> bool:
    """Whether a line of a plan goes through all rows of a table, or sorts them."""
    scanned = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", line)
    if scanned is None or scanned[1] not in metadata.tables:
        return False
    return scanned[2] not in OPEN and not ("LIMIT" in statement and scanned[2])


async def test_deliveries_of_some_studies_are_found_by_the_studies(journey: Store) -> None:
    some = {f"2.25.{number}" for number in range(500)}
    plans = await journey.read(partial(plans_of, work=lambda one: in_ehr(one, some)))
    found = [line for _, line in plans if " outbox " in line]
    assert found == ["SEARCH outbox USING INDEX ix_outbox_subject (subject=?)"]


async def test_the_newest_examinations_are_read_in_their_order(journey: Store) -> None:
    """What is sorted is read to its end, though 2,000 examinations are the most that a week may give."""
    plans = await journey.read(partial(plans_of, work=lambda one: turnaround.examinations(one, 0, now())))
    assert [line for statement, line in plans if "LIMIT" in statement and line.startswith("USE TEMP B-TREE")] == []


NAMED: Final[dict[str, Callable[[Connection], Any]]] = {
    "performed steps of a journey": lambda c: performed_steps.of_journey(
        c, accession_number="A1", orders=[OrderRow(1)]
    ),
    "scheduled steps that may be meant": lambda c: scheduled_steps.that_may_be_meant(
        c, patient_id="P1", study_uids=["2.25.1"], accession_numbers=["A1"]
    ),
    "studies of images": lambda c: scheduled_steps.imaged(c, study_uids=["2.25.1"], series_uids=["2.25.2"]),
}
"""What is looked for by several kinds of numbers at once."""


async def test_what_has_numbers_is_found_by_them(store: Store) -> None:
    for name, question in NAMED.items():
        lines = await store.read(partial(_lines_where_indexes_serve, work=question))
        whole = [line.strip() for line in lines if re.match(r"\W*(Parallel )?(Seq Scan on|SCAN) ", line)]
        assert [(name, line) for line in whole if _is_of_a_table(line)] == []


def _lines_where_indexes_serve(connection: Connection, work: Callable[[Connection], Any]) -> list[str]:
    """The lines of all plans, where PostgreSQL goes through a table only if no index serves: ours are small."""
    if connection.dialect.name == "sqlite":
        return [line for _, line in plans_of(connection, work)]
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    return [line for asked in asked_by(connection, work) for line in plan_of(connection, *asked)]


def _is_of_a_table(line: str) -> bool:
    *_, table = re.split(r"(?:Seq Scan on|SCAN) ", line)
    return table.split()[0] in metadata.tables


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_studies_are_joined_once_they_are_counted(store: Store) -> None:
    """A study that grows has a dead row for each of its instances: 20,000 of them, met by each, took 90 seconds."""
    lines = await store.read(_plan_of_shared_uids)
    [aggregate, *_] = [number for number, line in enumerate(lines) if "Aggregate" in line]
    below = [line for line in lines[aggregate + 1 :] if _depth(line) > _depth(lines[aggregate])]
    assert [line for line in below if " on studies" in line] == []
    assert [line for line in lines if " on studies" in line]


def _plan_of_shared_uids(connection: Connection) -> list[str]:
    wanted = study_findings._INSTANCES_TOO.params(the_study=1)
    statement = wanted.compile(connection, compile_kwargs={"literal_binds": True})
    return [str(row[0]) for row in connection.execute(text(f"EXPLAIN {statement}"))]


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" ->"))


async def test_a_study_that_is_not_here_shares_nothing(store: Store) -> None:
    assert await store.read(lambda one: study_findings.shared_by(one, StudyInstanceUID("1.2.3"))) == ()
