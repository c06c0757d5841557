"""The log of what scanners asked."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from gateway.records.row_ids import StepRow
from gateway.store import Store, scanner_queries
from gateway.store.scanner_queries import ScannerQuery
from gateway.store.schema import queries, query_matches
from tests.store.round_trips import counted, writing
from tests.web.served import add_order


def asked(at: int, *matches: StepRow, calling_ae: str = "CT1") -> ScannerQuery:
    return ScannerQuery(at, calling_ae, "10.0.0.7", {"PatientName": "Müller*"}, 0, matches, 900)


def _steps(connection: Connection) -> list[StepRow]:
    return [add_order(connection, accession=f"A{number}", study_uid=f"1.2.{number}")[1] for number in range(3)]


def _numbers(connection: Connection) -> tuple[int, int]:
    """Of the queries, and of the steps in their answers."""
    of_queries, of_matches = (
        connection.execute(select(func.count()).select_from(table)).scalar_one() for table in (queries, query_matches)
    )
    return of_queries, of_matches


async def test_queries_are_kept_in_their_order_with_the_steps_that_are_there(store: Store) -> None:
    first, second, third = await store.write(_steps)
    gone = StepRow(third + 1)
    log = [asked(1, first, first, gone), asked(2), asked(3, first, second), asked(4, second, calling_ae="MR1")]
    await store.write(partial(scanner_queries.log, asked=log))
    await store.write(partial(scanner_queries.log, asked=[asked(5)]))
    newest = await store.read(partial(scanner_queries.newest, calling_ae="CT1", limit=3))
    assert [(row["asked_at"], row["matches"]) for row in newest] == [(5, 0), (3, 2), (2, 0)]
    assert newest[0]["keys"] == {"PatientName": "Müller*"}
    answered = await store.read(partial(scanner_queries.answered, calling_ae="CT1", step_ids=[first, second, third]))
    assert answered == {first: 3, second: 3}
    askers = await store.read(partial(scanner_queries.askers, step_ids=[first, second]))
    assert [(one["calling_ae"], one["first_at"], one["last_at"], one["times"]) for one in askers] == [
        ("CT1", 1, 3, 2),
        ("MR1", 4, 4, 1),
    ]
    assert await store.read(_numbers) == (5, 4)


async def test_the_oldest_are_forgotten_with_their_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner_queries, "KEPT_QUERIES", 30)
    [step, *_] = await store.write(_steps)
    for first in range(1, 200, 7):
        await store.write(partial(scanner_queries.log, asked=[asked(at, step) for at in range(first, first + 7)]))
    newest = await store.read(partial(scanner_queries.newest, calling_ae="CT1", limit=1_000))
    assert [row["asked_at"] for row in newest] == list(range(203, 173, -1))
    assert await store.read(_numbers) == (30, 30)


@pytest.mark.parametrize("number", [1, 40])
async def test_a_log_takes_as_many_round_trips_for_many_queries(
    shared_postgres: str, tmp_path: Path, number: int
) -> None:
    """To begin and take the keys, to look for the steps, for the rows, and to commit."""
    store = await Store.open(shared_postgres)
    [step, *_] = await store.write(_steps)
    await store.write(partial(scanner_queries.log, asked=[asked(0, step)]))
    log = [asked(at, step) for at in range(number)]
    with counted(await writing(store), tmp_path / "protocol") as sent:
        await store.write(partial(scanner_queries.log, asked=log), scanner_queries.adding(log))
    await store.close()
    assert len(sent.waits) == 4
