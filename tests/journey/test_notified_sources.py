"""An Instance Availability Notification makes the gateway read the study where the notification says that it is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select

from bench.ports import free_port
from gateway.assembly import process as app
from gateway.records.arrival import HeaderRank
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.work import Lane, studies_at
from gateway.store import completeness, outbox
from gateway.store.schema import outbox as outbox_table
from tests.conftest import comes_true
from tests.journey.running import Start, sqlite
from tests.journey.test_dicom_sources import kept, sections, source, until_kept
from tests.journey.test_instance_availability import notify
from tests.peers.orthanc import Orthanc
from tests.peers.query_archives import QueryArchive, made_up, orthanc_archive, uid_of
from tests.wire.dimse.test_requestor import answers, scripted

GATEWAY_PORT = free_port()


@pytest.fixture(scope="module")
def archive() -> Iterator[QueryArchive]:
    with orthanc_archive(GATEWAY_PORT) as made:
        yield made


def study_of(number: int) -> list[Dataset]:
    """Of so long ago that no poll lists it."""
    return made_up(number, date="20150101", instances=3)


def notification(instances: list[Dataset], retrieve_ae: str, availability: str = "ONLINE") -> Dataset:
    """The attributes of an N-CREATE (PS3.4 Table R.3.2-1)."""
    made, series = Dataset(), Dataset()
    references = []
    for one in instances:
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = one.SOPClassUID, one.SOPInstanceUID
        reference.InstanceAvailability, reference.RetrieveAETitle = availability, retrieve_ae
        references.append(reference)
    series.SeriesInstanceUID, series.ReferencedSOPSequence = instances[0].SeriesInstanceUID, references
    made.ReferencedPerformedProcedureStepSequence = []
    made.StudyInstanceUID, made.ReferencedSeriesSequence = instances[0].StudyInstanceUID, [series]
    return made


async def work_of(gateway: app.Running, number: int) -> dict[str, Any] | None:
    lane = Lane(studies_at("archive"), StudyInstanceUID(uid_of(number)))
    row = await gateway.store.read(partial(outbox.latest, lane=lane))
    return None if row is None else dict(row)


@sqlite
@pytest.mark.parametrize("retrieve", ["get", "move"])
async def test_what_is_named_and_not_here_is_fetched(start: Start, archive: QueryArchive, retrieve: str) -> None:
    number = 1 if retrieve == "get" else 2
    study = study_of(number)
    await archive.take(study)
    asked = source(archive, headers="instance", retrieve=retrieve)
    async with start(**sections(asked, port=GATEWAY_PORT)) as gateway:
        assert (await notify(gateway, notification(study, archive.title)))[0] == 0
        rows = await until_kept(gateway, 3)
        stated = await gateway.store.read(partial(completeness.of_study, study_uid=StudyInstanceUID(uid_of(number))))
    first = min(str(one.SOPInstanceUID) for one in study)
    assert {one["sop_uid"] for one in rows} == {str(one.SOPInstanceUID) for one in study} == set(stated[0].sop_uids)
    assert [one["sop_uid"] for one in rows if one["header_rank"] == HeaderRank.DATA_SET] == [first]


@sqlite
async def test_an_archive_with_dicomweb_is_read_by_its_metadata(start: Start, orthanc_web: Orthanc) -> None:
    study = study_of(6)
    await QueryArchive(orthanc_web.ae_title, orthanc_web.dicom_port).take(study)
    asked = {"name": "archive", "kind": "dicomweb", "url": orthanc_web.dicomweb, "retrieve_aes": ["ORTHANC"]}
    async with start(**sections(asked)) as gateway:
        assert (await notify(gateway, notification(study, "ORTHANC")))[0] == 0
        rows = await until_kept(gateway, 3)
    assert {one["header_rank"] for one in rows} == {HeaderRank.METADATA}


@sqlite
async def test_what_the_archive_does_not_have_yet_is_fetched_when_it_has(start: Start, archive: QueryArchive) -> None:
    study = study_of(3)
    await archive.take(study[:1])
    async with start(**sections(source(archive))) as gateway:
        assert (await notify(gateway, notification(study, archive.title)))[0] == 0
        await until_kept(gateway, 1)
        await archive.take(study[1:])
        assert len(await until_kept(gateway, 3)) == 3


@sqlite
@pytest.mark.parametrize(
    ("retrieve_ae", "availability", "keys", "is_fetched"),
    [
        ("ELSEWHERE", "ONLINE", {}, False),
        ("CACHE", "NEARLINE", {"retrieve_aes": ["CACHE"]}, True),
        ("", "ONLINE", {}, True),
        ("ORTHANC", "OFFLINE", {}, False),
        ("ORTHANC", "ONLINE", {"enabled": False}, False),
    ],
)
async def test_it_is_read_where_the_configuration_knows_it(
    start: Start, archive: QueryArchive, retrieve_ae: str, availability: str, keys: dict[str, Any], *, is_fetched: bool
) -> None:
    study = study_of(4)
    async with start(**sections(source(archive, **keys))) as gateway:
        assert (await notify(gateway, notification(study, retrieve_ae, availability)))[0] == 0
        assert (await work_of(gateway, 4) is not None) == is_fetched


async def test_of_what_is_here_nothing_is_fetched(start: Start, archive: QueryArchive) -> None:
    study = study_of(5)
    await archive.take(study)
    async with start(**sections(source(archive))) as gateway:
        assert (await notify(gateway, notification(study, archive.title)))[0] == 0
        await until_kept(gateway, 3)
        done = await comes_true(partial(work_of, gateway, 5), lambda row: row and row["state"] == "done")
        assert (await notify(gateway, notification(study, archive.title), "1.2.3.4"))[0] == 0
        assert await work_of(gateway, 5) == done
        assert len(await kept(gateway)) == 3


@sqlite
async def test_an_archive_that_lets_nobody_in_is_asked_again(start: Start) -> None:
    """Whoever mends its list of AE titles must not look for each study as well."""
    rejects = answers(bytes.fromhex("03000000000400010107"))
    async with scripted(rejects) as (port, _), start(**sections(source(QueryArchive("RUDE", port)))) as gateway:
        assert (await notify(gateway, notification(study_of(7), "RUDE")))[0] == 0
        tried = partial(gateway.store.read, lambda connection: connection.execute(TRIED).all())
        # Another try may be under way.
        [row] = await comes_true(tried, lambda rows: [one.state for one in rows] == ["pending"])
    assert "called-AE-title-not-recognized" in str(row.outcome)


TRIED = select(outbox_table.c.state, outbox_table.c.outcome).where(
    outbox_table.c.kind == str(studies_at("archive")), outbox_table.c.outcome.is_not(None)
)
