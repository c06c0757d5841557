"""Rows do not stand in the order of their arrival: with the times of the day that would tell the days."""

from __future__ import annotations

import random
from datetime import UTC, date
from pathlib import Path
from statistics import correlation

import pytest
from sqlalchemy import Connection

from gateway.operations.export import run
from gateway.operations.export.columns import TABLES
from gateway.operations.export.plan import ExportPlan
from gateway.operations.export.pseudonyms import Pseudonyms
from gateway.operations.export.writers import Format
from gateway.store import Store
from tests.operations.export import hospital
from tests.operations.export.hospital import Examination
from tests.operations.export.reading import rows_of

NUMBER = 60
PSEUDONYMS = Pseudonyms(bytes(32))
UIDS = {PSEUDONYMS.uid(f"1.2.3.{number}"): number for number in range(NUMBER)}
PATIENTS = {PSEUDONYMS.of("patient", f"H|PID{number}"): number for number in range(NUMBER)}


async def _nothing(_files: object) -> None:
    pass


def _add(connection: Connection) -> None:
    for number in range(NUMBER):
        hospital.add(
            connection,
            Examination(
                number, f"NAME^N{number}", f"PID{number}", "H", f"ACC{number:05}", f"1.2.3.{number}", "19700101",
                f"{{}} {number}".format,
                begun_at=hospital.NINE + number * 3_600 * hospital.SECOND,
            ),
        )  # fmt: skip


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_table_is_in_the_order_of_arrival(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same chance each time: in one run of some thousand another would come near the order of arrival.
    assert isinstance(run._BY_CHANCE, random.SystemRandom)
    monkeypatch.setattr(run, "_BY_CHANCE", random.Random(60))
    await store.write(_add)
    plan = ExportPlan(date(2026, 1, 1), date(2026, 1, 31), UTC, Format.CSV)
    out = tmp_path / "out"
    await run.export(store, plan, PSEUDONYMS, out, on_progress=lambda *_: None, before_publishing=_nothing)
    for table in TABLES:
        arrived = [
            UIDS[row["study_uid"]] if "study_uid" in row else PATIENTS[row["patient"]]
            for row in rows_of(out, table, "csv")
        ]
        assert {*arrived} == {*range(NUMBER)}
        assert abs(correlation(arrived, range(len(arrived)))) < 0.5, table
