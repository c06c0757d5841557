"""What is written is what the table of columns says, column by column."""

from __future__ import annotations

import asyncio
import re
import stat
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.errors import ConfigError
from gateway.operations.export import run
from gateway.operations.export.columns import TABLES, written
from gateway.operations.export.manifest import ExportedFile
from gateway.operations.export.plan import ExportPlan
from gateway.operations.export.pseudonyms import DAY_MICROS, LETTERS, WEEK, Pseudonyms
from gateway.operations.export.run import export
from gateway.operations.export.treatment import Retained, Treatment
from gateway.operations.export.writers import Format
from gateway.store import Store
from tests.operations.export import hospital, page
from tests.operations.export.hospital import NINE, Examination
from tests.operations.export.reading import rows_of

PSEUDONYMS = Pseudonyms(bytes(32))
PSEUDONYM = re.compile(rf"[bcdfghjklmnpqrst]{{{LETTERS}}}")
UID = re.compile(r"2\.25\.[0-9]{30,39}")
DAY = timedelta(days=1)
ERIKA = Examination(
    1, "Muster^Erika", "4711", "HOSP", "A100", "1.2.826.0.1.3680043.8.498.1", "19300317", lambda keyword: f"a {keyword}"
)
ERIKA_LATER = replace(
    ERIKA, number=2, accession="A101", study_uid=f"{ERIKA.study_uid}2", begun_at=NINE + 3 * DAY_MICROS
)
OTTO = replace(
    ERIKA, number=3, name="Normal^Otto", patient_id="4712", accession="A102", study_uid=f"{ERIKA.study_uid}3",
    born="19800206", begun_at=NINE + DAY_MICROS,
)  # fmt: skip
ALL = (ERIKA, OTTO, ERIKA_LATER)
sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What is made of rows that both databases give."""
DEVICES = frozenset({Retained.DEVICE})


async def written_by(
    store: Store, out: Path, *, form: Format = Format.NDJSON, retained: frozenset[Retained] = frozenset(), **days: date
) -> list[ExportedFile]:
    noted: list[Sequence[ExportedFile]] = []

    async def note(files: Sequence[ExportedFile]) -> None:
        assert not await asyncio.to_thread(out.exists)
        noted.append(files)

    first, last = days.get("first", date(2026, 1, 1)), days.get("last", date(2026, 1, 31))
    plan = ExportPlan(first, last, UTC, form, retained)
    files = await export(store, plan, PSEUDONYMS, out, on_progress=lambda *_: None, before_publishing=note)
    assert noted == [files]
    return files


class _AsTheyCome:
    """In place of chance (`test_row_order`), so that a row is found by its place."""

    def shuffle(self, rows: list[Any]) -> None:
        pass

    def sample(self, rows: list[Any], number: int) -> list[Any]:
        return rows[:number]


@pytest.fixture(autouse=True)
def _rows_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_BY_CHANCE", _AsTheyCome())


@pytest.fixture
async def filled(store: Store) -> Store:
    for one in ALL:
        await store.write(partial(hospital.add, one=one))
    return store


@pytest.mark.parametrize("retained", [frozenset(), frozenset(Retained)])
async def test_each_column_is_treated_as_the_table_says(
    filled: Store, tmp_path: Path, retained: frozenset[Retained]
) -> None:
    await written_by(filled, tmp_path / "out", retained=retained)
    for table in TABLES:
        rows = rows_of(tmp_path / "out", table, "ndjson")
        columns = written(table, retained)
        assert rows, table
        assert list(rows[0]) == [column.name for column in columns]
        for column in columns:
            values = [row[column.name] for row in rows]
            assert any(value is not None for value in values), (table, column.name)
            for value in values:
                assert value is None or _fits(column.treatment_with(retained), value), (table, column.name, value)


def _fits(treatment: Treatment, value: Any) -> bool:
    match treatment:
        case Treatment.PSEUDONYM:
            return PSEUDONYM.fullmatch(value) is not None
        case Treatment.REPLACED_UID:
            return UID.fullmatch(value) is not None
        case Treatment.SHIFTED:
            return value.year in range(2014, 2025)
        case Treatment.COARSE:
            return value in range(91)
        case _:
            return treatment is Treatment.KEPT and PSEUDONYM.search(str(value)) is None


async def test_moments_of_a_patient_go_back_together_and_times_between_stay_exact(
    filled: Store, tmp_path: Path
) -> None:
    await written_by(filled, tmp_path / "out", form=Format.PARQUET)
    times = rows_of(tmp_path / "out", "times", "parquet")
    shifts = set()
    for one, row in zip(ALL, times, strict=True):
        begun = datetime.fromtimestamp(one.begun_at / 1e6, UTC) + timedelta(microseconds=one.number)
        shift = begun - row["received"]
        shifts.add((row["patient"], shift))
        assert (shift % (WEEK * DAY), shift > 2 * 365 * DAY) == (timedelta(), True)
        names = ("first_shown", "exam_begun", "exam_ended", "first_instance", "settled", "in_ehr")
        assert [(row[name] - row["received"]).total_seconds() for name in names] == [600, 1200, 1800, 2400, 3600, 4200]
        between = ("received_to_shown", "received_to_exam", "exam", "exam_to_settled", "exam_to_ehr")
        assert [row[name] for name in between] == [600.0, 1200.0, 600.0, 2400.0, 3000.0]
    assert len(shifts) == 2


async def test_rows_of_all_tables_fit_together(filled: Store, tmp_path: Path) -> None:
    await written_by(filled, tmp_path / "out", form=Format.CSV)
    tables = {table: rows_of(tmp_path / "out", table, "csv") for table in TABLES}
    assert {table: len(rows) for table, rows in tables.items()} == {
        "orders": 3, "steps": 3, "times": 3, "studies": 3, "series": 3, "instances": 6,
    }  # fmt: skip
    patients = [row["patient"] for row in tables["orders"]]
    assert patients[0] == patients[2] != patients[1]
    for table in ("steps", "times", "studies"):
        assert [row["patient"] for row in tables[table]] == patients
    assert [row["patient_age"] for row in tables["orders"]] == ["90", "45", "90"]
    studies = {row["study_uid"] for row in tables["studies"]}
    for table in ("steps", "times", "series", "instances"):
        assert {row["study_uid"] for row in tables[table]} == studies
    assert {row["series_uid"] for row in tables["instances"]} == {row["series_uid"] for row in tables["series"]}
    first = tables["series"][0]
    assert (first["modality"], first["body_part"], first["laterality"], first["instances"]) == ("CT", "CHEST", "R", "2")
    assert tables["steps"][0]["procedure_code"] == "CTCHEST"


@sqlite
async def test_what_a_person_retains_is_written_as_it_is(filled: Store, tmp_path: Path) -> None:
    await written_by(filled, tmp_path / "out", retained=DEVICES)
    series, times = (rows_of(tmp_path / "out", table, "ndjson")[0] for table in ("series", "times"))
    assert (series["manufacturer"], series["station_name"]) == ("a Manufacturer", "a StationName")
    assert times["station"] == "a AE"
    assert "institution" in rows_of(tmp_path / "out", "studies", "ndjson")[0]
    manifest = orjson.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert [one["code"] for one in manifest["deidentification"]] == ["113100", "113105", "113107", "113108", "113109"]


@sqlite
async def test_days_bound_what_is_written(filled: Store, tmp_path: Path) -> None:
    files = await written_by(filled, tmp_path / "out", first=date(2026, 1, 6), last=date(2026, 1, 6))
    assert {one.table: one.rows for one in files} == {
        "orders": 1, "steps": 1, "times": 1, "studies": 1, "series": 1, "instances": 2,
    }  # fmt: skip
    none = await written_by(filled, tmp_path / "none", first=date(2027, 1, 6), last=date(2027, 1, 7))
    assert {one.rows for one in none} == {0}


@sqlite
async def test_pages_of_any_size_make_the_same_files(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await written_by(filled, tmp_path / "whole")
    for name in ("ORDERS_OF_A_PAGE", "STUDIES_OF_A_PAGE", "INSTANCES_OF_A_PAGE", "SERIES_AT_ONCE"):
        monkeypatch.setattr(run, name, 1)
    assert [one.digest for one in await written_by(filled, tmp_path / "pages")] == [one.digest for one in whole]


@sqlite
async def test_files_are_private_and_an_export_is_never_overwritten(filled: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    await written_by(filled, out)
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o600}
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    with pytest.raises(ConfigError, match="never overwrites"):
        await written_by(filled, out)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".partial")] == []


@sqlite
async def test_nothing_is_left_of_an_export_that_cannot_be_noted(filled: Store, tmp_path: Path) -> None:
    async def refuse(_files: Sequence[ExportedFile]) -> None:
        raise ConfigError(["the database is read-only"])

    folder = tmp_path / "exports"
    folder.mkdir()
    plan = ExportPlan(date(2026, 1, 1), date(2026, 1, 31), UTC, Format.CSV)
    with pytest.raises(ConfigError, match="read-only"):
        await export(
            filled, plan, PSEUDONYMS, folder / "out", on_progress=lambda *_: None, before_publishing=refuse
        )  # fmt: skip
    assert list(folder.iterdir()) == []


def test_the_page_lists_every_column_with_what_is_done() -> None:
    text = (Path(__file__).parents[3] / "docs/export.md").read_text(encoding="utf-8")
    assert "\n".join(page.lines()) in text, "python -m tests.operations.export.page"
