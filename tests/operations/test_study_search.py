"""Searches of many studies: by indexes, and refused where too many rows would have to be looked through."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert

from gateway.errors import TooLarge
from gateway.operations.study_search import StudySearch, search
from gateway.records.study_search import SearchLevel
from gateway.store import Store, study_keys
from gateway.store.schema import instances, series, studies
from gateway.wire.dicomweb.search import read
from gateway.worklist.items import of_identifier

NUMBER = 2_100
ROOT = "1.2.826.0.1.3680043.8.498.41"


def fill(connection: Connection, number: int = NUMBER) -> None:
    """One CT instance in one series in each study; every hundredth is an MR."""
    header = zlib.compress(b"")

    def of(row: int) -> dict[str, Any]:
        stated = {
            "StudyDate": f"20{row % 30:02d}0101", "PatientID": f"P{row}", "PatientName": f"NAME{row:06d}^A",
            "StudyDescription": "KNEE" if row == 9 else "HEAD",
        }  # fmt: skip
        return {
            "study_uid": f"{ROOT}.{row}", "attributes": stated, "sources": {}, "source_ae": "CT1", "revision": 1,
            "settled_revision": 1, "first_at": row, "last_at": row, **study_keys.of_study(stated),
        }  # fmt: skip

    rows = range(1, number + 1)
    connection.execute(insert(studies), [{"id": row, **of(row)} for row in rows])
    modality = {row: "MR" if row % 100 == 0 else "CT" for row in rows}
    connection.execute(
        insert(series),
        [
            {
                "id": row, "study": row, "series_uid": f"{ROOT}.{row}.1", "attributes": {"Modality": modality[row]},
                "sources": {}, "modality": modality[row],
            }
            for row in rows
        ],
    )  # fmt: skip
    connection.execute(
        insert(instances),
        [
            {
                "series": row, "sop_uid": f"{ROOT}.{row}.1.1", "sop_class_uid": "1.2", "attributes": {},
                "transfer_syntax_uid": "1.2.840.10008.1.2.1", "header": header, "digest": b"", "received_at": row,
            }
            for row in rows
        ],
    )  # fmt: skip


@pytest.fixture
async def filled(store: Store) -> Store:
    await store.write(fill)
    return store


def asked(query: str, level: SearchLevel = SearchLevel.STUDY) -> StudySearch:
    parameters = [tuple(one.split("=")) for one in query.split("&") if one]
    wanted = read(parameters)  # type: ignore[arg-type]
    return StudySearch(level, of_identifier(wanted.keys), wanted.fuzzy, wanted.offset, wanted.limit)


async def test_a_search_that_would_look_at_too_many_is_refused(filled: Store) -> None:
    with pytest.raises(TooLarge, match="narrow the search"):
        await filled.read(partial(search, wanted=replace(asked("StudyDescription=KNEE"), looks_at=1_000)))
    for query, rows, remaining in (
        ("", 1000, 1_000), ("limit=1&offset=2099", 1, 0), ("StudyDescription=HEAD&limit=2", 2, 1_000),
        ("StudyDescription=KNEE&PatientName=NAME00000*", 1, 0), ("PatientID=P5", 1, 0), ("ModalitiesInStudy=MR", 21, 0),
        ("ModalitiesInStudy=CT&limit=3", 3, 1_000), ("StudyDate=20290101&limit=1", 1, NUMBER // 30 - 1),
        ("PatientName=NAME00001*", 10, 0), (f"StudyInstanceUID={ROOT}.9", 1, 0),
    ):  # fmt: skip
        found = await filled.read(partial(search, wanted=asked(query)))
        assert (len(found.rows), found.remaining) == (rows, remaining), query
    newest = await filled.read(partial(search, wanted=asked("limit=2")))
    assert [row.of_study["StudyDate"] for row in newest.rows] == ["20290101"] * 2
    found = await filled.read(partial(search, wanted=asked(f"StudyInstanceUID={ROOT}.9", SearchLevel.INSTANCE)))
    assert [row.sop_uid for row in found.rows] == [f"{ROOT}.9.1.1"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_searched_most_is_found_by_indexes(filled: Store) -> None:
    statements: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        statements.append((statement, parameters))

    event.listen(filled.engine, "before_cursor_execute", note)
    for query in ("PatientID=P5", "PatientName=NAME00001*", "StudyDate=20290101", "", f"StudyInstanceUID={ROOT}.9"):
        await filled.read(partial(search, wanted=asked(query + "&limit=5")))
    await filled.read(partial(search, wanted=asked(f"StudyInstanceUID={ROOT}.9", SearchLevel.INSTANCE)))
    event.remove(filled.engine, "before_cursor_execute", note)

    def plans(connection: Connection) -> Iterator[str]:
        for statement, parameters in statements:
            if statement.startswith("SELECT"):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                yield "; ".join(row[3] for row in rows)

    read_plans = await filled.read(lambda connection: list(plans(connection)))
    assert not [one for one in read_plans if "SCAN studies" in one and "INDEX" not in one]
    assert len(read_plans) > 10
