"""One study by every source at once, in random order and twice: one study, right counts, one last version."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pydicom
from sqlalchemy import Connection, func, select

from gateway.assembly import process as app
from gateway.config.destinations import DestinationRetry
from gateway.config.dicom import Dicom
from gateway.config.studies import Stow, Studies
from gateway.config.study_sources import StudySource
from gateway.records.work import Activity, WorkKind
from gateway.simulators.ehr import EhrSimulator
from gateway.store import outbox_listing
from gateway.store.schema import instances, series, studies
from tests.conftest import comes_true
from tests.journey.running import config_of
from tests.journey.test_instance_availability import notify
from tests.journey.test_notified_sources import notification
from tests.journey.test_polled_sources import read_at
from tests.journey.test_study_arrival import send
from tests.peers.orthanc import DICOMWEB_PLUGIN, Orthanc, running_orthanc
from tests.peers.process import DEBIAN, missing
from tests.peers.query_archives import HOST, OURS
from tests.web.dicomweb.client import client_of
from tests.web.dicomweb.stow import MULTIPART, body, file_of, instance

STUDY = "2.25.4711"
TIMES = int(os.environ.get("TIMES", "2"))
"""So often each way brings each instance; the environment may ask for more, and by `SEED` for another order."""
SEED = os.environ.get("SEED", "1")


def _study() -> list[pydicom.FileDataset]:
    """Two series of three images, of today."""
    made = []
    for number in range(6):
        one = instance(f"{STUDY}.1.{number}", STUDY, InstanceNumber=number, StudyDate=f"{datetime.now(UTC):%Y%m%d}")
        one.SeriesInstanceUID = f"{STUDY}.{1 + number % 2}"
        made.append(one)
    return made


def _sources(orthanc: Orthanc) -> list[StudySource]:
    shared = {"every_seconds": 0.2, "timeout_seconds": 60, "retry": DestinationRetry(first_seconds=0.1)}
    return [
        StudySource.model_validate({"name": "web", "kind": "dicomweb", "url": orthanc.dicomweb, **shared}),
        StudySource.model_validate({"name": "changes", "kind": "orthanc", "url": orthanc.url, **shared}),
        StudySource.model_validate(
            {"name": "find", "kind": "dicom", "ae_title": orthanc.ae_title, "port": orthanc.dicom_port, **shared}
        ),
    ]


def _counts(connection: Connection) -> tuple[int, ...]:
    tables = (studies, series, instances)
    return tuple(connection.execute(select(func.count()).select_from(one)).scalar_one() for one in tables)


async def _open_work(gateway: app.Running) -> list[str]:
    """What waits or is under way, but for the polls, which go on."""
    rows = await gateway.store.read(partial(outbox_listing.listing, states=("pending", "leased")))
    kinds = [WorkKind.of(row["kind"]) for row in rows]
    return [str(kind) for kind in kinds if kind.activity is not Activity.POLL]


def _ways(gateways: list[app.Running], study: list[pydicom.FileDataset]) -> list[Callable[[], Awaitable[None]]]:
    """What is sent, beside what the gateways ask for; each gateway in turn."""

    async def stow(gateway: app.Running, one: pydicom.FileDataset) -> None:
        async with client_of(gateway, "CT1") as client:
            answer = await client.ask("POST", "/studies", body=body(file_of(one)), content_type=MULTIPART)
            assert answer.status == 200

    async def store(gateway: app.Running, one: pydicom.FileDataset) -> None:
        assert await send(gateway, one) == [0]

    async def name(gateway: app.Running, number: int) -> None:
        named = notification(list(study), "ORTHANC")
        assert (await notify(gateway, named, f"{STUDY}.7.{number}"))[0] == 0

    made: list[Callable[[], Awaitable[None]]] = []
    for time in range(TIMES):
        for number, one in enumerate(study):
            made += [
                partial(way, gateways[(number + time + offset) % len(gateways)], one)
                for offset, way in enumerate((stow, store))
            ]
        made.append(partial(name, gateways[time % len(gateways)], time))
    return made


async def test_the_same_study_by_all_sources_is_one_study(database_url: str, tmp_path: Path) -> None:
    """Two gateways where the database can be shared."""
    if not DICOMWEB_PLUGIN.exists():
        missing("Orthanc's DICOMweb plugin", DEBIAN)
    study, shuffled = _study(), random.Random(SEED)
    files = [tmp_path / f"{number}.dcm" for number in range(len(study))]
    for file, one in zip(files, study, strict=True):
        file.write_bytes(file_of(one))
    async with AsyncExitStack() as stack:
        orthanc = stack.enter_context(
            running_orthanc(str(DICOMWEB_PLUGIN), DicomModalities={"gateway": [OURS, HOST, 104]})
        )
        ehr = await stack.enter_async_context(EhrSimulator())
        config = config_of(
            database_url, ehr.url, dicom=Dicom(port=0, ae_title=OURS),
            studies=Studies(quiet_seconds=1.0, stow=Stow(), sources=_sources(orthanc)),
        )  # fmt: skip
        count = 1 if database_url.startswith("sqlite") else 2
        gateways = [await stack.enter_async_context(app.running(config)) for _ in range(count)]
        ways = _ways(gateways, study)
        shuffled.shuffle(ways)
        await asyncio.gather(orthanc.upload(*files), *(way() for way in ways))
        for source in config.studies.sources:
            await comes_true(partial(read_at, gateways[0], source.name), bool)
        await comes_true(partial(_open_work, gateways[0]), lambda rows: not rows)
        assert await gateways[0].store.read(_counts) == (1, 2, 6)
        stuck = await gateways[0].store.read(partial(outbox_listing.listing, states=("parked", "rejected")))
        [held] = ehr.resources("ImagingStudy")
    assert stuck == []
    assert (held["numberOfSeries"], held["numberOfInstances"], held["status"]) == (2, 6, "available")
    listed = {one["uid"] for each in held["series"] for one in each["instance"]}
    assert listed == {str(one.SOPInstanceUID) for one in study}
    assert int(held["meta"]["versionId"]) <= 4, "no version for each way"
