"""Station study_arrival by sources that are asked: a real Orthanc over DICOMweb and by its list of changes."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from operator import eq
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import Connection, func, select

from bench.made_studies import made_study, study_uid
from gateway.assembly import process as app
from gateway.config.destinations import DestinationRetry
from gateway.config.studies import Studies
from gateway.config.study_sources import StudySource
from gateway.journey.study_arrival.sources.by_orthanc import OrthancSource
from gateway.journey.study_arrival.sources.filters import StudyFilter
from gateway.records.study_source import SourceState, Watermark
from gateway.store import source_watermarks
from gateway.store.schema import instances, source_studies, studies
from gateway.wire.dicomweb.orthanc import OrthancReader
from gateway.wire.dicomweb.reading import WebReader
from gateway.wire.http import Connect
from tests.conftest import comes_true
from tests.journey.running import Start, sqlite
from tests.peers.orthanc import Orthanc, running_orthanc

STUDIES = int(os.environ.get("POLLED_STUDIES", "20"))
"""Of the last 20 days."""
FIRST_DAY = datetime.now(UTC).date() - timedelta(days=24)


def asked(*sources: dict[str, Any]) -> dict[str, Any]:
    """The sections of a gateway that asks these sources."""
    made = [
        StudySource(**{"timeout_seconds": 60, "every_seconds": 0.2, "retry": RETRY, "since": FIRST_DAY, **one})
        for one in sources
    ]
    return {"studies": Studies(quiet_seconds=0.1, sources=made)}


RETRY = DestinationRetry(first_seconds=0.05, max_seconds=0.1)


def written(folder: Path, number: int, *, instances: int = 2) -> list[Path]:
    """The files of a study, of one of the last 25 days."""
    files = []
    for dataset in made_study(number, series=1, instances=instances):
        dataset.StudyDate = dataset.SeriesDate = f"{FIRST_DAY + timedelta(days=number % 25):%Y%m%d}"
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        target = BytesIO()
        pydicom.dcmwrite(target, dataset, enforce_file_format=True)
        file = folder / f"{dataset.SOPInstanceUID}.dcm"
        file.write_bytes(target.getvalue())
        files.append(file)
    return files


def counts(connection: Connection) -> tuple[int, int]:
    """Studies and instances."""
    numbers = [connection.execute(select(func.count()).select_from(one)).scalar_one() for one in (studies, instances)]
    return numbers[0], numbers[1]


async def holds(gateway: app.Running, *wanted: int) -> None:
    await comes_true(lambda: gateway.store.read(counts), lambda found: found == wanted)


async def read_at(gateway: app.Running, source: str) -> int:
    """Studies that were read at a source."""
    wanted = select(func.count()).where(source_studies.c.source == source)
    return await gateway.store.read(lambda connection: connection.execute(wanted).scalar_one())


async def state(gateway: app.Running, source: str) -> SourceState:
    return await gateway.store.read(partial(source_watermarks.get, source=source))


@sqlite
async def test_an_orthanc_is_read_whole_and_a_restart_goes_on(
    start: Start, orthanc_web: Orthanc, tmp_path: Path
) -> None:
    for number in range(25 - STUDIES, 25):
        await orthanc_web.upload(*written(tmp_path, number))
    sources = asked(
        {"name": "web", "kind": "dicomweb", "url": orthanc_web.dicomweb, "window_days": 5, "page": 3},
        {"name": "changes", "kind": "orthanc", "url": orthanc_web.url, "page": 7},
    )
    async with start(**sources) as gateway:
        await holds(gateway, STUDIES, 2 * STUDIES)
        for name in ("web", "changes"):
            found = await comes_true(
                partial(state, gateway, name), lambda one: one.polled_at and not one.watermark.is_behind
            )
            assert (found.error, found.dropped) == ("", 0)
    await orthanc_web.upload(*written(tmp_path, 74), *written(tmp_path, 24, instances=3))
    async with start(**sources) as gateway:
        await holds(gateway, STUDIES + 1, 2 * STUDIES + 3)
        for name in ("web", "changes"):
            await comes_true(partial(read_at, gateway, name), partial(eq, STUDIES + 1))


@sqlite
async def test_changes_that_are_deleted_begin_anew(start: Start, tmp_path: Path) -> None:
    """Meanwhile a study comes, another grows, and one goes."""
    with running_orthanc(StableAge=1) as orthanc:
        await orthanc.upload(*written(tmp_path, 20), *written(tmp_path, 21), *written(tmp_path, 22))
        sources = asked({"name": "changes", "kind": "orthanc", "url": orthanc.url})
        async with start(**sources) as gateway:
            await holds(gateway, 3, 6)
            before = await comes_true(
                partial(state, gateway, "changes"), lambda one: one.polled_at and not one.watermark.is_behind
            )
        await orthanc.forget_changes()
        await orthanc.remove(study_uid(20))
        await orthanc.upload(*written(tmp_path, 21, instances=3), *written(tmp_path, 23))
        await orthanc.forget_changes()
        async with start(**sources) as gateway:
            await holds(gateway, 4, 9)
            after = await comes_true(partial(state, gateway, "changes"), lambda one: one.polled_at > before.polled_at)
            assert after.error == ""


async def test_studies_that_are_deleted_while_all_are_listed_hide_no_others(tmp_path: Path) -> None:
    """Two of those that were listed are, each before a restart."""
    with running_orthanc() as orthanc:
        for number in range(9):
            await orthanc.upload(*written(tmp_path, number, instances=1))
        found, mark = list[str](), Watermark()
        async with WebReader(orthanc.url, Connect(60)) as server:
            for deleted in (0, 1, None):
                source = OrthancSource("orthanc", OrthancReader(server), None, StudyFilter({}), 3)
                async for page in source.list_studies(mark, 0):
                    mark = page.watermark or mark
                    found += [one.study_uid for one in page.studies]
                    if deleted is not None:
                        await orthanc.remove(found[deleted])
                        break
        assert {*found} == {study_uid(number) for number in range(9)}
