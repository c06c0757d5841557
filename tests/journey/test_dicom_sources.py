"""Archives that are asked by C-FIND, real ones: all of their studies are found, once, and after a restart the rest."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select

from bench.ports import free_port
from gateway.assembly import process as app
from gateway.config.dicom import Dicom
from gateway.config.studies import Studies
from gateway.records.arrival import HeaderRank
from gateway.simulators.ehr import EhrSimulator
from gateway.store import source_watermarks
from gateway.store.schema import instances, series, studies
from gateway.wire.dimse import client
from tests.conftest import comes_true, until
from tests.journey.running import Start, sqlite
from tests.peers.dcmqrscp import dcmqrscp
from tests.peers.query_archives import HOST, KINDS, OURS, QueryArchive, made_up, uid_of
from tests.wire.dimse.raw_peer import USER_ABORT, RawPeer
from tests.wire.dimse.test_requestor import Script, answers, associate_ac, scripted
from tests.wire.dimse.test_requestor_query import ONE, playing, response

TODAY_DAY, OLDER_DAY = datetime.now(UTC).date(), date(2026, 1, 5)
TODAY, OLDER = f"{TODAY_DAY:%Y%m%d}", f"{OLDER_DAY:%Y%m%d}"
COUNT = 20
GATEWAY_PORT = free_port()


@pytest.fixture(scope="module", params=KINDS)
def archive(request: pytest.FixtureRequest) -> Iterator[QueryArchive]:
    """With 20 studies of one instance, half of them of an older day; the last is MR."""
    with KINDS[request.param](GATEWAY_PORT) as made:
        days = [(number, OLDER if number % 2 else TODAY) for number in range(1, COUNT + 1)]
        made_of = [study_of(number, day, "MR" if number == COUNT else "CT") for number, day in days]
        asyncio.run(made.take([one for study in made_of for one in study]))
        yield made


def study_of(number: int, day: str = TODAY, modality: str = "CT", *, count: int = 1) -> list[Dataset]:
    return made_up(number, date=day, modality=modality, instances=count)


def source(archive: QueryArchive, **keys: Any) -> dict[str, Any]:
    """A section of `studies.sources`."""
    asked = {"name": "archive", "kind": "dicom", "ae_title": archive.title, "port": archive.port}
    return {**asked, "every_seconds": 0.2, "timeout_seconds": 60, "retry": {"first_seconds": 0.1}, **keys}


def sections(*sources: dict[str, Any], port: int = 0, quiet_seconds: float = 0.3) -> dict[str, Any]:
    made = Studies.model_validate({"quiet_seconds": quiet_seconds, "sources": list(sources)})
    return {"studies": made, "dicom": Dicom(port=port, ae_title=OURS)}


async def kept(gateway: app.Running) -> list[Any]:
    """The instances that are here, with their study."""
    wanted = (
        select(instances, studies.c.study_uid, studies.c.attributes.label("study"))
        .join(series, series.c.id == instances.c.series)
        .join(studies, studies.c.id == series.c.study)
    )
    return list(await gateway.store.read(lambda connection: connection.execute(wanted).mappings().all()))


async def until_kept(gateway: app.Running, count: int) -> list[Any]:
    """The instances, once there are so many."""
    return list(await comes_true(partial(kept, gateway), lambda rows: len(rows) >= count))


async def until_kept_of(gateway: app.Running, wanted: set[str]) -> list[Any]:
    """The instances, once there are some of each of these studies; the archive has others that other tests gave it."""
    return list(await comes_true(partial(kept, gateway), lambda rows: wanted <= {one["study_uid"] for one in rows}))


async def polled(gateway: app.Running, name: str = "archive") -> Any:
    return await gateway.store.read(partial(source_watermarks.get, source=name))


@sqlite
async def test_all_studies_are_found_and_after_a_restart_what_is_new(start: Start, archive: QueryArchive) -> None:
    asked = sections(source(archive, since=OLDER_DAY, window_days=100))
    wanted, late = {*map(uid_of, range(1, COUNT + 1))}, uid_of(COUNT + 1)
    async with start(**asked) as gateway:
        rows = await until_kept_of(gateway, wanted)
        before = await until_polled(gateway)
    assert {one["study"]["PatientName"] for one in rows} >= {"Probe^Änna 7"}
    await archive.take(study_of(COUNT + 1))
    async with start(**asked) as gateway:
        assert (await polled(gateway)).watermark.cursor["since"] == before.watermark.cursor["since"] == str(OLDER_DAY)
        rows = await until_kept_of(gateway, {*wanted, late})
    assert {*Counter(one["study_uid"] for one in rows if one["study_uid"] in {*wanted, late}).values()} == {1}


@sqlite
async def test_studies_that_arrive_while_others_are_listed_are_found(start: Start, archive: QueryArchive) -> None:
    """Four; `make sources` has two hundred."""
    more = int(os.environ.get("MORE_STUDIES", "4"))
    first = 1_000
    async with start(**sections(source(archive, since=OLDER_DAY, window_days=20))) as gateway:
        for number in range(first, first + more):
            await archive.take(study_of(number))
        wanted = {*map(uid_of, range(first, first + more))}
        rows = await until_kept_of(gateway, wanted)
    assert len([one for one in rows if one["study_uid"] in wanted]) == more


@sqlite
async def test_only_studies_with_the_modality_are_read(start: Start, archive: QueryArchive) -> None:
    asked = source(archive, since=TODAY_DAY, filters={"ModalitiesInStudy": "MR"})
    async with start(**sections(asked)) as gateway:
        (row,) = await until_kept(gateway, 1)
        await until_polled(gateway)
        assert [one["study_uid"] for one in await kept(gateway)] == [row["study_uid"]] == [uid_of(COUNT)]


async def until_polled(gateway: app.Running) -> Any:
    """How the source stands after a poll that began now."""
    before = await polled(gateway)
    ended = await comes_true(partial(polled, gateway), lambda one: one.polled_at != before.polled_at)
    return await comes_true(partial(polled, gateway), lambda one: one.polled_at != ended.polled_at)


@sqlite
@pytest.mark.parametrize("retrieve", ["get", "move"])
async def test_an_instance_of_each_series_is_retrieved(start: Start, archive: QueryArchive, retrieve: str) -> None:
    number = 2_000 if retrieve == "get" else 2_100
    day = "20200101" if retrieve == "get" else "20200601"
    study = made_up(number, date=day, series=2, instances=3)
    await archive.take(study)
    since = date.fromisoformat(day)
    asked = source(
        archive,
        since=since,
        window_days=100,
        headers="instance",
        retrieve=retrieve,
        filters={"PatientID": f"P{number}"},
    )
    async with start(**sections(asked, port=GATEWAY_PORT)) as gateway:
        rows = await until_kept(gateway, 6)
        await until_polled(gateway)
        rows = await kept(gateway)
    whole = [one for one in rows if one["header_rank"] == HeaderRank.DATA_SET]
    # dcmqrscp names no SOP classes: all instances are retrieved.
    assert (len(rows), len(whole)) == (6, 2 if archive.title == "ORTHANC" else 6)
    first = {
        str(one.SeriesInstanceUID): min(
            str(of.SOPInstanceUID) for of in study if of.SeriesInstanceUID == one.SeriesInstanceUID
        )
        for one in study
    }
    assert {*first.values()} <= {one["sop_uid"] for one in whole}


@sqlite
async def test_a_study_that_is_found_reaches_the_ehr_once(start: Start, archive: QueryArchive) -> None:
    await archive.take(made_up(3_500, date="20220101", series=2, instances=3))
    asked = source(archive, since=date(2022, 1, 1), window_days=100, filters={"PatientID": "P3500"})
    async with EhrSimulator() as ehr, start(ehr.url, **sections(asked, quiet_seconds=1.5)) as gateway:
        await until(lambda: ehr.resources("ImagingStudy"))
        await until_polled(gateway)
        (study,) = ehr.resources("ImagingStudy")
    assert (study["numberOfSeries"], study["numberOfInstances"]) == (2, 6)
    assert {one["modality"]["code"] for one in study["series"]} == {"CT"}
    assert [one["meta"]["versionId"] for one in ehr.resources("ImagingStudy")] == ["1"]


@sqlite
async def test_what_was_stored_here_stays_as_it_came(start: Start, archive: QueryArchive) -> None:
    study = made_up(3_000, date="20210101", instances=2)
    await archive.take(study)
    asked = source(archive, since=date(2021, 1, 1), window_days=100, filters={"PatientID": "P3000"})
    async with start(**sections(asked, port=GATEWAY_PORT)) as gateway:
        stored = await client.store(HOST, gateway.dicom_port, study[:1], called_ae=OURS, calling_ae="CT1", timeout=120)
        assert [status for _, status in stored] == [0]
        await until_kept(gateway, 2)
        await until_polled(gateway)
        rows = {one["sop_uid"]: one for one in await kept(gateway)}
    here, asked_for = rows[study[0].SOPInstanceUID], rows[study[1].SOPInstanceUID]
    assert (len(rows), here["header_rank"]) == (2, HeaderRank.DATA_SET)
    assert asked_for["header_rank"] == (HeaderRank.QUERY if archive.title == "ORTHANC" else HeaderRank.DATA_SET)


FAILURES: dict[str, tuple[Script, str]] = {
    "title": (answers(bytes.fromhex("03000000000400010107")), "called-AE-title-not-recognized"),
    "context": (answers(associate_ac(result=3)), "none of the SOP classes"),
    "abort": (playing(USER_ABORT), "aborted by the DICOM UL service-user"),
    "abort-midway": (playing(response(0xFF00, ONE), USER_ABORT), "aborted by the DICOM UL service-user"),
    "silence": (playing(response(0xFF00, ONE)), "no C-FIND response within 0.2 s"),
    "failure": (playing(response(0xC001)), "C-FIND status C001"),
    "mismatch": (playing(response(0xA900)), "C-FIND status A900"),
}


@sqlite
async def test_an_archive_that_fails_is_asked_again(start: Start) -> None:
    asked_times: Counter[str] = Counter()

    async def counted(peer: RawPeer, name: str) -> None:
        asked_times[name] += 1
        await FAILURES[name][0](peer)

    async with AsyncExitStack() as stack:
        asked = []
        for name in FAILURES:
            port, _ = await stack.enter_async_context(scripted(partial(counted, name=name)))
            seconds = 0.2 if name == "silence" else 5
            asked.append(source(QueryArchive("RUDE", port), name=name, timeout_seconds=seconds))
        gateway = await stack.enter_async_context(start(**sections(*asked)))
        await comes_true(of_all := partial(states, gateway), lambda _: all(asked_times[one] > 1 for one in FAILURES))
        named = [(name, words) for name, (_, words) in FAILURES.items()]
        failed = await comes_true(of_all, lambda found: all(words in found[name].error for name, words in named))
    assert {one.polled_at for one in failed.values()} == {None}


async def states(gateway: app.Running) -> dict[str, Any]:
    return {name: await polled(gateway, name) for name in FAILURES}


@sqlite
async def test_an_archive_that_is_off_is_asked_when_it_is_back(start: Start) -> None:
    port = free_port()
    async with start(**sections(source(QueryArchive("QRSCP", port)))) as gateway:
        await comes_true(partial(polled, gateway), lambda one: "cannot be reached" in one.error)
        with dcmqrscp(port=port):
            await QueryArchive("QRSCP", port).take(study_of(4_000))
            assert len(await until_kept(gateway, 1)) == 1
            # A poll that goes well ends after the studies that it lists are wanted.
            await comes_true(partial(polled, gateway), lambda one: one.error == "")
