"""What an EHR is told of a series whose images state different things, whatever the order in which they come.

Rows are the same on every database (`tests/mapping/studies/test_arrival_order.py`): SQLite alone is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from gateway.assembly import process as app
from gateway.assembly.mappings import load_mappings
from gateway.assembly.studies import make_arrival
from gateway.clock import now
from gateway.config.tree import MappingsSection
from gateway.records.identifiers import StudyInstanceUID
from gateway.simulators.ehr import EhrSimulator
from gateway.wire.dimse import client
from tests.journey.running import Start, config_of, quiet
from tests.journey.test_corrections_of_studies import Examination
from tests.mapping.samples import site
from tests.wire.dimse.peers import HOST, PEER


@dataclass(frozen=True)
class Told:
    """What an EHR holds of the first series."""

    operators: tuple[str, ...] = ()
    side: str = ""
    physicians: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    what: str
    images: Any
    """Of an `Examination`: the images as they come."""
    told: Told
    later: Any = None
    """What comes when they have settled."""


def by(one: Examination, number: int, operators: str | list[str] = "", side: str = "", **others: Any) -> Dataset:
    """An image by operators, of a side."""
    stated: dict[str, Any] = {"OperatorsName": operators, "ImageLaterality": side}
    return one.image(number, **{keyword: value for keyword, value in stated.items() if value}, **others)


BOTH = Told(("A Ann", "B Bob"))
CASES = [
    Case("two operators", lambda one: [by(one, 1, "Ann^A"), by(one, 2, "Bob^B")], BOTH),
    Case("the same the other way round", lambda one: [by(one, 2, "Bob^B"), by(one, 1, "Ann^A")], BOTH),
    Case("the same twice", lambda one: [by(one, 2, "Bob^B"), *[by(one, 1, ["Ann^A", "Bob^B"])] * 2], BOTH),
    Case("both sides", lambda one: [by(one, 1, side="L"), by(one, 2, side="R"), by(one, 3, side="L")], Told()),
    Case("a side alone", lambda one: [by(one, 1), by(one, 2, side="L")], Told(side="Left")),
    Case(
        "two physicians",
        lambda one: [by(one, n, PerformingPhysicianName=name) for n, name in ((2, "Pa^P"), (1, "Qu^Q"))],
        Told(physicians=("Q Qu", "P Pa")),
    ),
    Case(
        "an operator that is corrected",
        lambda one: [by(one, 1, "Wrong^W"), by(one, 2, "Bob^B")],
        BOTH,
        later=lambda one: [by(one, 1, "Ann^A")],
    ),
    Case(
        "an operator that is taken back",
        lambda one: [by(one, 1, "Wrong^W"), by(one, 2, "Bob^B")],
        Told(("B Bob",)),
        later=lambda one: [by(one, 1)],
    ),
    Case(
        "a side that is corrected",
        lambda one: [by(one, 1, side="R"), by(one, 2, side="L"), by(one, 3, side="L")],
        Told(side="Left"),
        later=lambda one: [by(one, 1, side="L")],
    ),
    Case(
        "an image that is rejected, and sent again",
        lambda one: [by(one, 1, "Wrong^W"), by(one, 2, "Bob^B"), one.note("113001", 1)],
        Told(("B Bob",)),
        later=lambda one: [by(one, 1, "Worse^W")],
    ),
]


async def _send(gateway: app.Running, images: Sequence[Dataset]) -> None:
    for one in images:
        assert [status for _, status in await client.store(HOST, gateway.dicom_port, [one], **PEER)] == [0]


def _told(ehr: EhrSimulator, one: Examination) -> Told:
    [study] = [each for each in ehr.resources("ImagingStudy") if f"urn:oid:{one.uid}'" in str(each["identifier"])]
    [series] = [each for each in study["series"] if each["uid"] == f"{one.uid}.1"]
    by_function: dict[str, list[str]] = {"PRF": [], "SPRF": [], "DEV": [], "LOC": []}
    for each in series.get("performer", ()):
        by_function[each["function"]["coding"][0]["code"]].append(each["actor"]["display"])
    side = series.get("laterality", {}).get("display", "")
    return Told(tuple(by_function["SPRF"]), side, tuple(by_function["PRF"]))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_series_states_the_same_whatever_came_first(start: Start, database_url: str, tmp_path: Path) -> None:
    examinations = {one.what: Examination(number) for number, one in enumerate(CASES, 10)}
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        for case in CASES:
            await _send(gateway, case.images(examinations[case.what]))
        await quiet(gateway)
        for case in CASES:
            await _send(gateway, [] if case.later is None else case.later(examinations[case.what]))
        await quiet(gateway)
        told = {case.what: _told(ehr, examinations[case.what]) for case in CASES}
        assert told == {case.what: case.told for case in CASES}

        # Other rules hold for an old study once it is read again.
        overlay = site(tmp_path, {"agreement.yaml": "series:\n  OperatorsName: first\n"})
        config = config_of(database_url, mappings=MappingsSection(overlay=overlay))
        arrival = make_arrival(config, gateway.store, load_mappings(config), now)
        await arrival.replay(StudyInstanceUID(examinations["two operators"].uid))
        await quiet(gateway)
        assert _told(ehr, examinations["two operators"]) == Told(("A Ann",))
