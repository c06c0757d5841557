"""An archive that is asked over DICOMweb: what is found of it whatever it makes of limit, offset and keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from aiohttp import web

from gateway.errors import GatewayError, Malformed, NeedsPerson, TooLarge, Unavailable
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.journey.study_arrival.reading import InstanceReader
from gateway.journey.study_arrival.sources.by_dicomweb import IGNORES_OFFSET, LARGEST, DicomWebSource
from gateway.journey.study_arrival.sources.filters import StudyFilter
from gateway.journey.study_arrival.sources.windows import DayWindows
from gateway.records.arrival import HeaderRank
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study_source import ListedStudy, Watermark
from gateway.wire.dicomweb import native_xml, querying
from gateway.wire.dicomweb.dataset import Attribute
from gateway.wire.dicomweb.querying import DicomWebReader
from gateway.wire.dicomweb.reading import WebReader
from gateway.wire.http import Connect
from tests.mapping.samples import SHIPPED
from tests.peers.qido import HeldStudy, QidoArchive, instance_of, json, qido_archive

TODAY = date(2026, 3, 20)
NOW = round(datetime(2026, 3, 20, 12, tzinfo=UTC).timestamp() * 1_000_000)


def days(number: int, *, of: int = 1) -> list[HeldStudy]:
    """So many studies, spread over the last days."""
    return [
        HeldStudy(f"1.2.3.{one}", f"{TODAY - timedelta(days=one % of):%Y%m%d}", instances=2) for one in range(number)
    ]


async def listed(
    archive: QidoArchive,
    watermark: Watermark | None = None,
    *,
    since: date | None = None,
    window: int = 4,
    again: int = 0,
    at: int = NOW,
    page: int = 10,
    wanted: dict[int, str] | None = None,
) -> tuple[list[ListedStudy], Watermark, int]:
    """What a poll lists, the watermark after it, and how many answers were dropped."""
    async with WebReader(archive.url, Connect(60)) as server:
        windows = DayWindows(since, window, again)
        source = DicomWebSource("pacs", DicomWebReader(server), windows, StudyFilter(wanted or {}), page, UTC)
        studies, dropped, last = list[ListedStudy](), 0, watermark or Watermark()
        async for one in source.list_studies(last, at):
            studies += one.studies
            dropped += one.dropped
            last = one.watermark or last
        return studies, last, dropped


def uids(studies: Sequence[ListedStudy] | Sequence[HeldStudy]) -> set[str]:
    return {getattr(one, "study_uid", "") or getattr(one, "uid", "") for one in studies}


@pytest.mark.parametrize("nothing", [lambda: web.Response(status=204), lambda: json([]), lambda: web.Response()])
async def test_no_content_and_an_empty_array_are_nothing(nothing: Any) -> None:
    async with qido_archive(nothing=nothing) as archive:
        assert await listed(archive) == ([], Watermark({**MARK, LARGEST: 0}, "2026-03-20"), 0)
        assert len(archive.queries) == 1


MARK = {"newest": "2026-03-20", "since": "", "older": "", "until": "", "walked": ""}


async def test_a_server_that_gives_less_than_is_asked_for_is_asked_on() -> None:
    async with qido_archive(held=days(20), most=7, has_warnings=True) as archive:
        studies, watermark, _ = await listed(archive)
        assert (len(studies), uids(studies)) == (20, uids(archive.held))
        assert [one.get("offset", "0") for one in archive.queries] == ["0", "7", "14", "20"]
        assert watermark.cursor[LARGEST] == 7


@pytest.mark.parametrize("keys", [{"most": 4}, {"page": 4}, {"page": 4, "ignores_offset": True}])
async def test_a_page_that_has_become_shorter_is_not_the_last(keys: dict[str, Any]) -> None:
    page = keys.pop("page", 10)
    async with qido_archive(held=days(9)) as archive:
        _, watermark, _ = await listed(archive, page=9)
    async with qido_archive(held=days(9, of=4), **keys) as archive:
        studies, _, _ = await listed(archive, watermark, page=page)
        assert uids(studies) == uids(archive.held)


@pytest.mark.parametrize("most", [7, 1000])
async def test_a_server_that_ignores_offset_ends_in_bounded_requests(most: int) -> None:
    async with qido_archive(held=days(20, of=4), most=most, ignores_offset=True, ignores_limit=most > 7) as archive:
        studies, watermark, _ = await listed(archive)
        assert uids(studies) == uids(archive.held), "the window was halved until a day fits"
        assert not watermark.note
        assert len(archive.queries) <= 20


async def test_a_day_that_cannot_be_listed_whole_is_noted() -> None:
    async with qido_archive(held=days(20), most=7, ignores_offset=True) as archive:
        studies, watermark, _ = await listed(archive)
        assert (len(uids(studies)), watermark.note) == (7, IGNORES_OFFSET)
        assert len(archive.queries) <= 20


async def test_studies_that_arrive_between_pages_are_found() -> None:
    """200 of them, two before each answer, which the server sorts first or last."""
    async with qido_archive(held=days(50), most=10) as archive:
        coming = iter(HeldStudy(f"1.2.4.{number}", f"{TODAY:%Y%m%d}") for number in range(200))

        def arrive() -> None:
            for at in (0, len(archive.held)):
                if (one := next(coming, None)) is not None:
                    archive.held.insert(at, one)

        archive.on_query = arrive
        found, watermark, _ = await listed(archive)
        while len(archive.held) < 250 or uids(archive.held) - uids(found):
            more, watermark, _ = await listed(archive, watermark)
            found += more
            assert len(archive.queries) < 200
        assert uids(found) == uids(archive.held)


async def test_answers_are_held_against_the_question() -> None:
    old = HeldStudy("1.2.9", "20200101")
    other = HeldStudy("1.2.8", f"{TODAY:%Y%m%d}", modality="MR")
    async with qido_archive(held=[*days(3), old, other], ignores_keys=True) as archive:
        studies, _, dropped = await listed(archive, wanted={0x00080061: "C?"})
        assert (uids(studies), dropped) == (uids(days(3)), 2)
        assert archive.queries[0]["00080061"] == "C?"


async def test_a_count_that_is_absent_is_not_0() -> None:
    async with qido_archive(held=days(1), has_counts=False) as archive:
        [(one)] = (await listed(archive))[0]
        assert (one.state, one.instances) == ("", None)
        archive.has_counts = True
        [(one)] = (await listed(archive))[0]
        assert (one.state.split()[0], one.instances) == ("1/2", 2), "as text, without a VR"


async def test_a_server_without_includefield_is_asked_without() -> None:
    async with qido_archive(held=days(3), refuses_fields=True) as archive:
        assert uids((await listed(archive))[0]) == uids(archive.held)
        assert ["includefield" in one for one in archive.queries] == [True, False, False]


async def test_what_is_older_follows_what_is_new() -> None:
    async with qido_archive(held=days(40, of=20)) as archive:
        studies, watermark, _ = await listed(archive, since=TODAY - timedelta(days=19))
        assert uids(studies) == uids(archive.held)
        windows = list(dict.fromkeys(one["StudyDate"] for one in archive.queries))
        assert windows == [
            "20260317-20260321", "20260301-20260304", "20260305-20260308", "20260309-20260312", "20260313-20260316"
        ]  # fmt: skip
        assert (watermark.reached, watermark.target, watermark.is_behind) == ("2026-03-20", "", False)
        del archive.queries[:]
        await listed(archive, watermark, since=TODAY - timedelta(days=19))
        assert {one["StudyDate"] for one in archive.queries} == {"20260317-20260321"}


async def test_a_study_of_an_older_day_that_comes_late_is_found() -> None:
    since = TODAY - timedelta(days=19)
    async with qido_archive(held=days(20, of=20)) as archive:
        _, watermark, _ = await listed(archive, since=since, again=7)
        late = HeldStudy("1.2.9", f"{since:%Y%m%d}")
        archive.held.append(late)
        found, watermark, _ = await listed(archive, watermark, since=since, again=7, at=NOW + 6 * DAY)
        assert late.uid not in uids(found)
        found, watermark, _ = await listed(archive, watermark, since=since, again=7, at=NOW + 7 * DAY)
        assert late.uid in uids(found)
        found, watermark, _ = await listed(archive, watermark, since=since, again=7, at=NOW + 13 * DAY)
        assert late.uid not in uids(found)
        more = since - timedelta(days=10)
        archive.held.append(HeldStudy("1.2.10", f"{more:%Y%m%d}"))
        del archive.queries[:]
        found, watermark, _ = await listed(archive, watermark, since=more, again=7, at=NOW + 13 * DAY)
        assert "1.2.10" in uids(found)
        assert late.uid not in uids(found), "of an earlier since the days before the former alone"


DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("answer", "fate", "text"),
    [
        (web.Response(status=503, headers={"Retry-After": "7"}), Unavailable, "HTTP 503"),
        (web.Response(status=401), Unavailable, "does not let us in (HTTP 401): check auth"),
        (web.Response(status=404), NeedsPerson, "check url"),
        (web.Response(status=302, headers={"Location": "http://elsewhere.test/"}), NeedsPerson, "check url and auth"),
        (web.Response(text="<html>", content_type="text/html"), Malformed, "no array of objects"),
        (web.Response(text='[{"0020000D": {}'), Malformed, "ends amid an object"),
    ],
)
async def test_what_a_server_refuses_has_its_fate(answer: web.Response, fate: type[GatewayError], text: str) -> None:
    async with qido_archive(next_answers=[answer]) as archive:
        with pytest.raises(fate) as raised:
            await listed(archive)
        assert text in str(raised.value)
        assert getattr(raised.value, "retry_after", None) == (7.0 if answer.status == 503 else None)


async def test_an_answer_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of blanks, which a gzip bomb is made of, and of ever new results; and of one that drips."""
    monkeypatch.setattr(querying, "MOST_SEARCH_BYTES", 1_000_000)
    result = b'{"0020000D": {"vr": "UI", "Value": ["1.2"]}, "00081030": {"vr": "LO", "Value": ["%s"]}},' % (
        b"x" * 9_000
    )

    async def endless(piece: bytes) -> AsyncIterator[bytes]:
        yield b"["
        while True:
            yield piece

    for piece in (b" " * 50_000, result):
        answers = [web.Response(body=endless(piece), content_type="application/dicom+json") for _ in range(2)]
        async with qido_archive(next_answers=answers) as archive:
            with pytest.raises(TooLarge, match="more than 1000000 bytes"):
                await listed(archive, window=1)
    monkeypatch.setattr(querying, "MOST_SECONDS", 0.0)
    async with qido_archive(held=days(1)) as archive:
        with pytest.raises(Unavailable, match="not at its end"):
            await listed(archive)


async def test_metadata_of_many_instances_comes_in_pieces_also_as_xml() -> None:
    study = HeldStudy("1.2.3", "20260320", instances=70)
    instance = {tag: Attribute(tag, vr, (value,)) for tag, vr, value in ((0x00080018, "UI", "1.2.3.4"), UID)}
    part = b"--b\r\nContent-Type: application/dicom+xml\r\n\r\n" + native_xml.write(instance) + b"\r\n"
    xml = web.Response(
        body=2 * part + b"--b--\r\n",
        headers={"Content-Type": 'multipart/related; type="application/dicom+xml"; boundary=b'},
    )
    other = json([instance_of(HeldStudy("1.2.99", "20260320"), 1)])
    answers = {"1.2.5": lambda: xml, "1.2.6": lambda: web.Response(status=404), "1.2.7": lambda: other}
    async with qido_archive(held=[study], metadata=answers) as archive, WebReader(archive.url, Connect(60)) as server:
        source = DicomWebSource("pacs", DicomWebReader(server), DayWindows(None, 1), StudyFilter({}), 10, UTC)

        async def read(uid: str) -> list[int]:
            study = ListedStudy(StudyInstanceUID(uid))
            batches = [some async for some in source.read_study(study, Sender("pacs"))]
            assert {one.rank for some in batches for one in some} <= {HeaderRank.METADATA}
            return [len(some) for some in batches]

        assert await read("1.2.3") == [32, 32, 6]
        assert await read("1.2.5") == [2]
        assert await read("1.2.6") == [], "it has the study no more"
        with pytest.raises(NeedsPerson, match="another study"):
            await read("1.2.7")


@pytest.mark.parametrize("status", [404, 406, 501])
async def test_an_archive_without_metadata_is_searched_for_instances(status: int) -> None:
    study = HeldStudy("1.2.3", "20260320", instances=40)
    metadata = dict.fromkeys(("1.2.3", "1.2.4"), lambda: web.Response(status=status))
    archive_of = partial(qido_archive, held=[study], metadata=metadata, most=15)
    async with archive_of() as archive, WebReader(archive.url, Connect(60)) as server:
        source = DicomWebSource("pacs", DicomWebReader(server), DayWindows(None, 1), StudyFilter({}), 10, UTC)

        async def read(uid: str) -> list[Incoming]:
            listed = ListedStudy(StudyInstanceUID(uid))
            return [one async for some in source.read_study(listed, Sender("pacs")) for one in some]

        found = await read("1.2.3")
        assert {one.rank for one in found} == {HeaderRank.QUERY}
        arrivals = [READER.read(one, NOW) for one in found]
        assert len({one.sop_uid for one in arrivals}) == 40
        assert {one.series["Modality"] for one in arrivals} == {"CT"}, "of the series"
        assert {one.study["PatientName"] for one in arrivals} == {"DOE^JANE"}, "of the study"
        assert await read("1.2.4") == [], "it has the study no more"


READER = InstanceReader(SHIPPED.studies.keywords)
UID = (0x0020000D, "UI", "1.2.5")
