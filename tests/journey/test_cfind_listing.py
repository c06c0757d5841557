"""Studies are listed whole at archives that limit their answers, with or without a word, and in a bounded number of
queries at archives that do not do what they are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import pytest

from gateway.journey.study_arrival.sources.cfind_listing import MOST_QUERIES, Listed, listed
from gateway.journey.study_arrival.sources.cfind_stretches import Stretch
from gateway.journey.study_arrival.sources.filters import StudyFilter
from gateway.wire.dimse.identifier import Identifier, Key
from gateway.wire.dimse.requestor import associated
from gateway.wire.dimse.requestor_operations import proposals
from gateway.wire.dimse.requestor_query import FIND, Keys, LimitedAnswersError, Matches, find
from tests.peers.query_archives import QueryArchive, made_up, orthanc_archive, uid_of

DAYS = Stretch.of_days(date(2026, 1, 1), date(2026, 1, 10))
ALL = StudyFilter({})
FIRST = datetime(2026, 1, 1)  # noqa: DTZ001 - the local time of an archive


@pytest.fixture(scope="module")
def limited() -> Iterator[QueryArchive]:
    """An Orthanc that answers with 5 studies at most, and has 12 of one morning and 8 of other days."""
    with orthanc_archive(LimitFindResults=5) as made:
        days = [(number, "20260102" if number <= 12 else f"202601{number - 10:02}") for number in range(1, 21)]
        studies = [made_up(number, date=day, instances=1) for number, day in days]
        asyncio.run(made.take([one for study in studies for one in study]))
        yield made


async def test_an_archive_that_says_that_it_limits_is_asked_in_halves(limited: QueryArchive) -> None:
    queries: list[Keys] = []
    async with associated(limited.peer(), proposals(FIND)) as association:

        async def ask(keys: Keys) -> Matches:
            queries.append(keys)
            return await find(association, "STUDY", keys, most=100)

        found = await listed(ask, DAYS, ALL)
    assert found.studies.keys() == {*map(uid_of, range(1, 21))}
    assert any("-" in one["StudyTime"] for one in queries)
    assert len(queries) < 50


@dataclass
class Archive:
    """Answers with no more than `most` studies, and does not say that there are others."""

    moments: list[datetime]
    most: int = 1_000_000
    ignores: tuple[str, ...] = ()
    queries: list[Keys] = field(default_factory=list)

    async def find(self, keys: Keys) -> Matches:
        self.queries.append(keys)
        found = [(at, one) for at, one in enumerate(self.moments) if self._matches(one, keys)]
        return Matches([_answer(at, one) for at, one in found[: self.most]], 0)

    def _matches(self, moment: datetime, keys: Keys) -> bool:
        values = {"StudyDate": f"{moment:%Y%m%d}", "StudyTime": f"{moment:%H%M%S}"}
        return all(name in self.ignores or _is_within(value, keys[name]) for name, value in values.items())

    async def listed(self) -> Listed:
        return await listed(self.find, DAYS, ALL)


def _is_within(value: str, key: str) -> bool:
    first, _, last = key.partition("-")
    return not key or first <= value <= (last or first)


def _answer(number: int, moment: datetime) -> Identifier:
    values = {
        0x0020000D: ("UI", f"1.2.{number}"), 0x00080020: ("DA", f"{moment:%Y%m%d}"),
        0x00080030: ("TM", f"{moment:%H%M%S}"),
    }  # fmt: skip
    return {tag: Key(tag, vr, (value,)) for tag, (vr, value) in values.items()}


async def test_a_round_number_of_answers_may_be_a_limit() -> None:
    archive = Archive([FIRST + timedelta(minutes=5 * number) for number in range(430)], most=100)
    assert len((await archive.listed()).studies) == 430


async def test_a_round_number_that_is_no_limit_costs_a_few_queries() -> None:
    archive = Archive([FIRST + timedelta(hours=number) for number in range(100)])
    assert len((await archive.listed()).studies) == 100
    assert len(archive.queries) < 8


async def test_any_other_number_is_taken_for_all() -> None:
    archive = Archive([FIRST + timedelta(minutes=number) for number in range(99)])
    assert len((await archive.listed()).studies) == 99
    assert len(archive.queries) == 1


async def test_answers_outside_of_the_window_are_dropped() -> None:
    archive = Archive([FIRST - timedelta(days=1), FIRST, FIRST + timedelta(days=20)], ignores=("StudyDate",))
    found = await archive.listed()
    assert ([*found.studies], found.dropped) == (["1.2.1"], 2)


async def test_an_archive_that_ignores_dates_and_limits_its_answers_is_not_asked_for_ever() -> None:
    archive = Archive([FIRST] * 500, most=100, ignores=("StudyDate", "StudyTime"))
    assert len((await archive.listed()).studies) == 100
    assert len(archive.queries) < MOST_QUERIES


async def test_an_archive_that_only_refuses_is_asked_down_to_a_second() -> None:
    queries: list[Keys] = []

    async def refuse(keys: Keys) -> Matches:
        queries.append(keys)
        raise LimitedAnswersError("out of resources")

    with pytest.raises(LimitedAnswersError):
        await listed(refuse, DAYS, ALL)
    assert len(queries) < 40
    assert queries[-1]["StudyTime"].endswith("-235959.999999")


async def test_an_archive_that_always_has_something_else_is_given_up() -> None:
    numbers = iter(range(100_000))

    async def other(keys: Keys) -> Matches:
        begin = keys["StudyDate"][:8] + (keys["StudyTime"][:6] or "000000")
        moment = datetime.strptime(begin, "%Y%m%d%H%M%S")  # noqa: DTZ007
        return Matches([_answer(next(numbers), moment) for _ in range(50)], 0)

    found = await listed(other, DAYS, ALL)
    assert (found.queries, found.is_whole) == (MOST_QUERIES, False)


@pytest.mark.parametrize("ignores", [(), ("StudyTime",)])
async def test_more_studies_of_a_second_than_an_archive_answers_with_cost_none_of_the_others(
    ignores: tuple[str, ...],
) -> None:
    midnights = [FIRST + timedelta(days=2)] * 300
    archive = Archive([*midnights, *(FIRST + timedelta(days=number) for number in range(10))], most=70, ignores=ignores)

    async def limited(keys: Keys) -> Matches:
        found = await archive.find(keys)
        if len(found.identifiers) < archive.most:
            return found
        error = LimitedAnswersError("out of resources")
        error.matches = found
        raise error

    found = await listed(limited, DAYS, ALL)
    assert (found.is_whole, found.queries < 80) == (False, True)
    assert {*found.studies} == {f"1.2.{number}" for number in (*range(70), 300, 301, *range(303, 310))}


@pytest.mark.parametrize(
    ("stretch", "study_date", "study_time"),
    [
        (DAYS, "20260101-20260110", ""),
        (Stretch.of_days(date(2026, 1, 1), date(2026, 1, 1)), "20260101", ""),
        (Stretch(FIRST, FIRST + timedelta(hours=12)), "20260101", "000000-115959.999999"),
        (Stretch(FIRST + timedelta(hours=12), FIRST + timedelta(days=1)), "20260101", "120000-235959.999999"),
    ],
)
def test_the_keys_of_a_stretch(stretch: Stretch, study_date: str, study_time: str) -> None:
    assert stretch.keys() == {"StudyDate": study_date, "StudyTime": study_time}


def test_halves_leave_nothing_out_and_end_at_a_second() -> None:
    open_, ends = [DAYS], list[Stretch]()
    while open_:
        one = open_.pop()
        halves = one.halves()
        if halves is None:
            ends.append(one)
        else:
            later, earlier = halves
            assert (earlier.begin, earlier.end, later.end) == (one.begin, later.begin, one.end)
            open_ += [later, earlier][: 2 if len(ends) < 40 else 1]
    assert all(one.end - one.begin <= timedelta(seconds=1) for one in ends)
