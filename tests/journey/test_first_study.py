"""What the first study after a start would wait for is made ready by one that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from bench.made_studies import made_study, study_of, study_uid
from gateway.assembly.mappings import load_mappings
from gateway.journey.study_settling.preparing import MADE_UP
from gateway.journey.study_settling.station import ImagingStudyStation
from gateway.journey.study_settling.targets import EhrTarget
from gateway.records.study import Release, Shape
from gateway.store import Store
from gateway.store.schema import metadata
from tests.journey.running import config_of

MAPPINGS = load_mappings(config_of("sqlite:///unused.db"))


def elements(of: Any, path: str = "") -> Iterator[str]:
    """The paths of all elements of a resource."""
    if isinstance(of, list):
        for one in of:
            yield from elements(one, path)
    elif isinstance(of, dict):
        for name, value in of.items():
            yield f"{path}.{name}"
            yield from elements(value, f"{path}.{name}")


@pytest.mark.parametrize("release", ["R4", "R5"])
def test_the_study_that_is_not_there_has_the_elements_of_one_that_comes(release: Release) -> None:
    """Otherwise the models of the others are loaded when it comes."""
    uid = study_uid(1)
    study = study_of(MAPPINGS, uid, made_study(1, series=2, instances=2))
    made, came = (MAPPINGS.studies.build(one, shape=Shape(release)) for one in (MADE_UP, study))
    assert set(elements(came)) - set(elements(made)) == set()


async def test_nothing_is_kept_of_it(database_url: str) -> None:
    store = await Store.open(database_url)
    target = EhrTarget("ehr", Shape(), False)
    await ImagingStudyStation(store, MAPPINGS.studies, [target], lambda: 1, served=Shape("R5")).prepare()
    numbers = [select(func.count()).select_from(table) for table in metadata.sorted_tables]
    kept = await store.read(lambda connection: [connection.execute(one).scalar_one() for one in numbers])
    await store.close()
    assert sum(kept) == 0
