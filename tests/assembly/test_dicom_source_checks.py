"""`gateway check` of archives that are asked by C-FIND: what it shows, and the cure that it names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.ports import free_port
from gateway.assembly.dicom_source_checks import asked
from gateway.config.dicom import Dicom
from gateway.config.study_sources import StudySource
from gateway.config.tree import Config
from gateway.operations.check import CheckFinding
from tests.peers.orthanc import running_orthanc
from tests.peers.pynetdicom_query import Behaviour, pynetdicom_archive
from tests.peers.query_archives import KINDS, OURS, QueryArchive, made_up
from tests.wire.dimse.test_requestor import answers, scripted


@pytest.fixture(scope="module", params=KINDS)
def archive(request: pytest.FixtureRequest) -> Iterator[QueryArchive]:
    """With two studies of today, and two of tomorrow, should a day end meanwhile."""
    days = [f"{datetime.now(UTC) + timedelta(days=number // 2):%Y%m%d}" for number in range(4)]
    with KINDS[request.param]() as made:
        studies = [one for number, day in enumerate(days, 1) for one in made_up(number, date=day, instances=1)]
        asyncio.run(made.take(studies))
        yield made


async def check(archive: QueryArchive, *, scanners: tuple[str, ...] = (), **keys: Any) -> CheckFinding:
    """`scanners`: the calling AE titles that are served alone."""
    section = {"name": "pacs", "kind": "dicom", "ae_title": archive.title, "port": archive.port, **keys}
    config = Config(dicom=Dicom(ae_title=OURS, allowed_calling_aes=list(scanners)))
    return await asked(config, StudySource.model_validate(section), 60.0)


async def test_an_archive_shows_its_studies_of_today(archive: QueryArchive) -> None:
    found = await check(archive)
    assert (found.what, found.ok) == ("studies.sources pacs", True)
    assert "answers; 2 studies of today" in found.detail
    assert found.warning == ("states no number of instances" in found.detail) == (archive.title == "QRSCP")


async def test_an_archive_that_moves_must_be_let_in(archive: QueryArchive) -> None:
    found = await check(archive, retrieve="move", scanners=("CT1",))
    assert f"{archive.title} may not store here" in found.detail
    assert "may not store" not in (await check(archive, retrieve="move", scanners=("CT1", archive.title))).detail


async def test_an_archive_without_the_retrieval_is_named() -> None:
    with pynetdicom_archive(Behaviour([], get_status=None)) as archive:
        found = await check(archive)
    assert (found.ok, found.warning) == (True, True)
    assert "0 studies of today; it does not accept C-GET: try retrieve: move" in found.detail


async def test_an_archive_that_does_not_know_us_has_a_cure() -> None:
    with running_orthanc() as orthanc:
        found = await check(QueryArchive(orthanc.ae_title, orthanc.dicom_port))
    assert (found.ok, found.warning) == (True, True)
    assert "abort" in found.detail
    assert f"add {OURS} to those" in found.detail


@pytest.mark.parametrize(
    ("rejection", "cure"),
    [
        ("03000000000400010107", "check ae_title"),
        ("03000000000400010103", f"add {OURS} to the AE titles that the archive knows"),
    ],
)
async def test_a_rejection_has_a_cure(rejection: str, cure: str) -> None:
    async with scripted(answers(bytes.fromhex(rejection))) as (port, _):
        assert cure in (await check(QueryArchive("RUDE", port))).detail


async def test_an_archive_that_is_off_has_a_cure() -> None:
    found = await check(QueryArchive("OFF", free_port()))
    assert (found.ok, found.warning) == (True, True)
    assert "cannot be reached (Connection refused): check host and port" in found.detail
