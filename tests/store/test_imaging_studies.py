"""The studies that are served: versions, and searches against a naive reading of the rules."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.search import Compared, Findable, Period, Prefix, SearchParameters, SearchToken, TokenAsked
from gateway.store import Store, imaging_studies
from gateway.store.engine import open_engine
from gateway.store.imaging_studies import UNKNOWN, Served

NOW = 1_900_000_000_000_000


def keep(
    connection: Connection,
    uid: str,
    *tokens: SearchToken,
    started: Period | None = None,
    content: str = "",
    now: int = NOW,
) -> None:
    resource = {"resourceType": "ImagingStudy", "content": content}
    digest = f"{content}{sorted(tokens)}{started}".encode()
    imaging_studies.keep(
        connection, StudyInstanceUID(uid), resource, digest, Findable(frozenset(tokens), started), now=now
    )


async def test_a_version_is_made_of_what_changed(store: Store) -> None:
    old, new = SearchToken("identifier", "s", "old"), SearchToken("identifier", "s", "new")
    await store.write(lambda one: keep(one, "1.2", old))
    await store.write(lambda one: keep(one, "1.2", old, now=NOW + 1))
    first = await store.read(lambda one: imaging_studies.get(one, StudyInstanceUID("1.2")))
    assert first is not None
    assert (first.version, first.updated_at) == (1, NOW)
    await store.write(lambda one: keep(one, "1.2", new, now=NOW + 2))
    second = await store.read(lambda one: imaging_studies.get(one, StudyInstanceUID("1.2")))
    assert second is not None
    assert (second.version, second.updated_at, second.row) == (2, NOW + 2, first.row)
    for token, count in ((old, 0), (new, 1)):
        question = SearchParameters(tokens=(("identifier", (TokenAsked("s", token.value),)),))
        assert await store.read(partial(imaging_studies.total, question=question)) == count


_PERIODS = st.builds(lambda first, length: Period(first, first + length), st.integers(0, 12), st.integers(1, 6))


def _naive(held: Period | None, asked: Compared) -> bool:
    """R4 3.1.1.4.7 in sets of moments: 'the range above the search value' is what comes after it."""
    if held is None:
        return False
    value, wanted = set(range(*held)), set(range(*asked.period))
    within = value <= wanted
    above, below = any(one > max(wanted) for one in value), any(one < min(wanted) for one in value)
    return {
        "eq": within, "ne": not within, "gt": above, "lt": below, "ge": above or within, "le": below or within,
        "sa": min(value) > max(wanted), "eb": max(value) < min(wanted),
    }[asked.prefix]  # fmt: skip


_ASKED = st.builds(Compared, st.sampled_from(get_args(Prefix)), _PERIODS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    held=st.lists(st.none() | _PERIODS, max_size=6),
    asked=st.lists(st.lists(_ASKED, min_size=1, max_size=2).map(tuple), min_size=1, max_size=2),
)
def test_dates_are_compared_as_the_standard_says(
    database_url: str, held: list[Period | None], asked: list[tuple[Compared, ...]]
) -> None:
    engine = _engine(database_url)
    with engine.connect() as connection:
        for number, period in enumerate(held):
            keep(connection, f"1.{number}", started=period)
        found, _ = imaging_studies.search(connection, SearchParameters(started=tuple(asked)))
        connection.rollback()
    expected = {
        f"1.{number}"
        for number, period in enumerate(held)
        if all(any(_naive(period, one) for one in alternatives) for alternatives in asked)
    }
    assert {one.study_uid for one in found} == expected


_ENGINES: dict[str, Any] = {}


def _engine(url: str) -> Any:
    if url not in _ENGINES:
        _ENGINES[url] = open_engine(url)
        from gateway.store import migrations

        migrations.prepare(_ENGINES[url])
    return _ENGINES[url]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moments=st.lists(st.integers(0, 18), max_size=6), asked=_ASKED)
def test_moments_are_compared_as_the_standard_says(database_url: str, moments: list[int], asked: Compared) -> None:
    with _engine(database_url).connect() as connection:
        for number, moment in enumerate(moments):
            keep(connection, f"1.{number}", now=moment)
        found, _ = imaging_studies.search(connection, SearchParameters(last_updated=((asked,),)))
        connection.rollback()
    expected = {f"1.{n}" for n, moment in enumerate(moments) if _naive(Period(moment, moment + 1), asked)}
    assert {one.study_uid for one in found} == expected


_SYSTEMS, _VALUES = st.sampled_from(["", "a", "b"]), st.sampled_from(["1", "2"])
_TOKENS = st.builds(SearchToken, st.sampled_from(["identifier", "patient"]), _SYSTEMS, _VALUES)
_WANTED = st.builds(TokenAsked, st.none() | _SYSTEMS, st.none() | _VALUES).filter(lambda one: any(one))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    held=st.lists(st.sets(_TOKENS, max_size=4), max_size=5),
    asked=st.lists(
        st.tuples(st.sampled_from(["identifier", "patient"]), st.lists(_WANTED, min_size=1, max_size=2).map(tuple)),
        max_size=2,
    ),
)
def test_tokens_meet_by_system_and_value(
    database_url: str, held: list[set[SearchToken]], asked: list[tuple[str, tuple[TokenAsked, ...]]]
) -> None:
    def meets(tokens: set[SearchToken], parameter: str, alternatives: tuple[TokenAsked, ...]) -> bool:
        return any(
            token.parameter == parameter and one.system in (None, token.system) and one.value in (None, token.value)
            for token in tokens
            for one in alternatives
        )

    question = SearchParameters(tokens=tuple(asked))
    with _engine(database_url).connect() as connection:
        for number, tokens in enumerate(held):
            keep(connection, f"1.{number}", *tokens)
        found = {one.study_uid for one in imaging_studies.search(connection, question)[0]}
        assert imaging_studies.total(connection, question) == len(found)
        connection.rollback()
    assert found == {f"1.{n}" for n, tokens in enumerate(held) if all(meets(tokens, *one) for one in asked)}


@pytest.mark.parametrize("sort", ["", "started", "_lastUpdated"])
@pytest.mark.parametrize("descending", [False, True])
async def test_pages_follow_one_another(store: Store, sort: Any, descending: bool) -> None:
    def fill(connection: Connection) -> None:
        for number in range(23):
            started = Period(number % 3, number % 3 + 1) if number % 4 else None
            keep(connection, f"1.{number}", started=started, now=NOW + number % 5)

    await store.write(fill)
    found: list[Served] = []
    after = None
    while True:
        question = SearchParameters(sort=sort, descending=descending, count=5, after=after)
        page, more = await store.read(partial(imaging_studies.search, question=question))
        found += page
        if not more:
            break
        after = imaging_studies.sort_key(question, page[-1])
    keys = [imaging_studies.sort_key(question, one) for one in found]
    assert keys == sorted(keys, reverse=descending)
    assert len({one.study_uid for one in found}) == len(found) == 23


async def test_a_page_of_large_studies_is_shorter(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaging_studies, "PAGE_CHARACTERS", 2500)
    for number in range(4):
        await store.write(partial(keep, uid=f"1.{number}", content="x" * (1000 if number < 3 else 5000)))
    pages, after = [], None
    while True:
        question = SearchParameters(count=10, after=after)
        page, more = await store.read(partial(imaging_studies.search, question=question))
        pages.append([one.study_uid for one in page])
        if not more:
            break
        after = imaging_studies.sort_key(question, page[-1])
    assert pages == [["1.0", "1.1"], ["1.2"], ["1.3"]]


@pytest.mark.parametrize("values", [("CT",), ("CT", "MR")], ids=["one value", "several"])
async def test_more_than_are_counted_is_known_as_that(
    store: Store, monkeypatch: pytest.MonkeyPatch, values: tuple[str, ...]
) -> None:
    monkeypatch.setattr(imaging_studies, "COMMON", 3)

    def filled(connection: Connection) -> None:
        # A study has a value under two systems, and each of the values.
        for number in range(8):
            tokens = [SearchToken("modality", system, value) for system in ("s", "t") for value in ("CT", "MR")]
            keep(
                connection, f"1.{number}", *tokens, SearchToken("status", "s", "registered" if number else "available")
            )

    await store.write(filled)
    modality = ("modality", tuple(TokenAsked(None, value) for value in values))
    registered = ("status", (TokenAsked(None, "registered"),))
    for tokens, number in (((modality,), 8), ((modality, registered), 7)):
        for most in range(3, 10):
            find = partial(imaging_studies.search_and_count, question=SearchParameters(tokens=tokens), most=most)
            *_, counted = await store.read(find)
            assert counted == (number if number <= most else None), (tokens, most)


async def test_an_older_reading_of_a_study_changes_nothing(store: Store) -> None:
    def kept(revision: int, content: str) -> Any:
        resource = {"resourceType": "ImagingStudy", "content": content}
        made = partial(
            imaging_studies.keep, study_uid=StudyInstanceUID("1.2"), resource=resource, digest=content.encode()
        )
        return lambda one: made(one, found_by=Findable(frozenset(), None), revision=revision, now=NOW)

    for revision, content in ((3, "new"), (2, "old"), (4, "new")):
        await store.write(kept(revision, content))
    held = await store.read(lambda one: imaging_studies.get(one, StudyInstanceUID("1.2")))
    assert held is not None
    assert (held.resource["content"], held.version) == ("new", 1)


MANY = 20_000
DAY = 86_400_000_000
_FILL = (
    """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :many)
    INSERT INTO imaging_studies
        (id, study_uid, version, revision, updated_at, digest, started_from, started_to, resource)
    SELECT n, '1.' || n, 1, 1, :now + n, CAST(:digest AS {blob}), n * :day, (n + 1) * :day, :resource FROM numbers
    """,
    """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :many)
    INSERT INTO imaging_study_tokens (imaging_study, parameter, system, value)
    SELECT n, 'patient', 's', 'P' || (n / 4) FROM numbers
    UNION ALL SELECT n, 'identifier', 'urn:dicom:uid', 'urn:oid:1.' || n FROM numbers
    UNION ALL SELECT n, 'status', 'x', 'available' FROM numbers
    """,
)
LAST = Period(DAY * (MANY - 10), DAY * (MANY - 9))
NEW = Period(NOW + MANY - 10, NOW + MANY - 9)
QUESTIONS = {
    "one identifier": SearchParameters(tokens=(("identifier", (TokenAsked("urn:dicom:uid", "urn:oid:1.77"),)),)),
    "one patient": SearchParameters(tokens=(("patient", (TokenAsked(None, "P77"),)),), sort="started", descending=True),
    "one id": SearchParameters(ids=(("1.77",),)),
    "what is new": SearchParameters(
        sort="_lastUpdated", last_updated=((Compared("ge", Period(NOW + MANY - 10, NOW + MANY - 9)),),)
    ),
    "what was done lately": SearchParameters(sort="started", started=((Compared("ge", LAST),),)),
    "what was done first": SearchParameters(sort="started", started=((Compared("lt", Period(DAY * 10, DAY * 11)),),)),
    "the latest": SearchParameters(sort="started", descending=True, count=10),
    "a later page": SearchParameters(sort="started", descending=True, count=10, after=(500, 500)),
    "the next in order": SearchParameters(count=10, after=(1000, 1000)),
}


async def test_no_question_that_finds_few_reads_everything(store: Store) -> None:
    def fill(connection: Connection) -> None:
        blob = "BYTEA" if connection.dialect.name == "postgresql" else "BLOB"
        values = {"many": MANY, "day": DAY, "now": NOW, "digest": b"x", "resource": json.dumps({"pad": "x" * 500})}
        for statement in _FILL:
            asked = text(statement.format(blob=blob))
            connection.execute(asked, {key: values[key] for key in asked._bindparams})
        connection.exec_driver_sql("ANALYZE")

    await store.write(fill)
    for name, question in QUESTIONS.items():
        plan = await store.read(partial(_plan, question=question))
        assert "Seq Scan on imaging_studies" not in plan, f"{name}:\n{plan}"
        assert "Seq Scan on imaging_study_tokens" not in plan, f"{name}:\n{plan}"
        assert "SCAN imaging_studies\n" not in plan, f"{name}:\n{plan}"
        assert "SCAN imaging_study_tokens\n" not in plan, f"{name}:\n{plan}"
        if question.sort and not question.tokens:
            assert "TEMP B-TREE" not in plan, f"{name}:\n{plan}"
            assert "Sort" not in plan, f"{name}:\n{plan}"


def _plan(connection: Connection, question: SearchParameters) -> str:
    statement = imaging_studies.page(question).compile(connection, compile_kwargs={"literal_binds": True})
    head = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    return "".join(f"{row[-1]}\n" for row in connection.exec_driver_sql(f"{head} {statement}".replace("%", "%%")))


def test_a_study_without_a_start_sorts_before_all_others() -> None:
    assert UNKNOWN.last < -(10**15)
