"""A search goes through indexes, whatever is asked: with a million orders a scan of a table takes a second."""

from __future__ import annotations

from datetime import UTC

import pytest

from gateway.operations.search import Search, search
from gateway.operations.study_list import StudyFilter, study_list
from gateway.records.ehr_standing import EhrStanding
from gateway.records.lookup import StepFilter
from gateway.store import Store
from gateway.store.schema import metadata
from tests.store.plans import plans_of
from tests.web.served import whole_journey

BY_KEY = ("SCAN steps", "SCAN studies")
"""From the newest row on, until a limit: by the key of the table itself."""


def _scans(plans: list[tuple[str, str]]) -> list[tuple[str, str]]:
    tables = tuple(f"SCAN {name}" for name in metadata.tables)
    return [one for one in plans if one[1].startswith(tables) and "INDEX" not in one[1] and one[1] not in BY_KEY]


@pytest.mark.parametrize(
    "narrow",
    [StepFilter(), StepFilter(day="20260105"), StepFilter(modality="CT"), StepFilter(state="not-applied")],
    ids=["all", "day", "modality", "not applied"],
)
@pytest.mark.parametrize("text", ["", "A100", "muster", "erika muster"])
async def test_no_search_looks_at_a_whole_table(sqlite_url: str, text: str, narrow: StepFilter) -> None:
    store = await Store.open(sqlite_url)
    await store.write(whole_journey)
    plans = await store.read(lambda c: plans_of(c, lambda c: search(c, Search(UTC, text, narrow))))
    await store.close()
    assert plans or not (text or narrow)
    assert _scans(plans) == []


@pytest.mark.parametrize("standing", [None, *EhrStanding])
async def test_no_list_of_studies_looks_at_all_work(sqlite_url: str, standing: EhrStanding | None) -> None:
    store = await Store.open(sqlite_url)
    await store.write(whole_journey)
    plans = await store.read(lambda c: plans_of(c, lambda c: study_list(c, StudyFilter(standing=standing))))
    await store.close()
    assert plans
    assert _scans(plans) == []
