"""Store by clients of other makes, each with its own way of writing a request and of reading the answer."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from dicomweb_client.api import DICOMwebClient
from sqlalchemy import select

from gateway.assembly import process as app
from gateway.config.studies import SpoolSection, Studies
from gateway.store.schema import instances
from gateway.wire.dicomweb.store_answer import Listed
from gateway.wire.dicomweb.storing import StowClient
from gateway.wire.oauth.authorization import Basic
from gateway.wire.part10_file import Part10File
from tests.journey.running import Start, quiet
from tests.peers import dcmjs, dicomweb_client_js, dicomweb_rs
from tests.peers.orthanc import Orthanc
from tests.peers.process import run
from tests.web.dicomweb.stow import BOUNDARY, MULTIPART, body, file_of, instance

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What comes over the web is settled before the database."""
UIDS = [f"2.25.98.1.{number}" for number in range(1, 6)]


def saved(folder: Path, uids: Sequence[str] = UIDS) -> list[Path]:
    paths = [folder / f"{uid}.dcm" for uid in uids]
    for path, uid in zip(paths, uids, strict=True):
        path.write_bytes(file_of(instance(uid, "2.25.98")))
    return paths


def forward(folder: Path) -> Studies:
    return Studies(quiet_seconds=0.1, storage="forward", spool=SpoolSection(folder=folder / "spool", free_gb=0.0))


def base_of(gateway: app.Running) -> str:
    return f"http://127.0.0.1:{gateway.http_port}/dicomweb"


async def kept(gateway: app.Running) -> list[str]:
    await quiet(gateway)
    return sorted(await gateway.store.read(lambda one: one.execute(select(instances.c.sop_uid)).scalars().all()))


async def test_our_own_client(start: Start, tmp_path: Path) -> None:
    paths = saved(tmp_path)
    async with (
        start(studies=forward(tmp_path)) as gateway,
        StowClient(base_of(gateway), timeout_seconds=60, authorization=Basic("CT1", "")) as client,
    ):
        assert await client.options() == 200
        sent = [Part10File(path, "1.2", path.stem, "1.2") for path in paths]
        answers = await asyncio.gather(*map(client.store, sent))
        assert [(one.http_status, one.listed) for one in answers] == [(200, Listed.STORED)] * 5
        assert await kept(gateway) == UIDS


async def test_curl(start: Start, tmp_path: Path) -> None:
    """With Expect: 100-continue, which it sends with a long body, and in chunks of HTTP."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed; run: apt-get install -y curl")
    long = instance(UIDS[1], "2.25.98")
    long.PixelData = bytes(8 * 2**20)
    (tmp_path / "body").write_bytes(body(file_of(instance(UIDS[0], "2.25.98")), file_of(long)))
    (one,) = saved(tmp_path, UIDS[2:3])
    unquoted = f"Content-Type: multipart/related; type=application/dicom; boundary={BOUNDARY}"
    async with start(studies=forward(tmp_path)) as gateway:
        for more in (
            ["-H", f"Content-Type: {MULTIPART}", "--data-binary", f"@{tmp_path / 'body'}"],
            ["-H", unquoted, "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{tmp_path / 'body'}"],
            ["-H", "Content-Type: application/dicom", "-T", str(one), "-X", "POST"],
        ):
            status = ["-s", "-S", "-o", str(tmp_path / "answer"), "-w", "%{http_code}", "-u", "CT1:"]
            done = await run(curl, *status, *more, f"{base_of(gateway)}/studies")
            assert (done.stdout, done.stderr) == ("200", "")
        assert await kept(gateway) == UIDS[:3]


async def test_orthanc_as_client(start: Start, orthanc_web: Orthanc, tmp_path: Path) -> None:
    """Several instances a request, which it makes of its own."""
    await orthanc_web.upload(*saved(tmp_path))
    async with start(studies=forward(tmp_path)) as gateway:
        report = await orthanc_web.stow(base_of(gateway), "ORTHANC")
        assert report["InstancesCount"] == "5"
        assert await kept(gateway) == UIDS


async def test_dicomweb_client(start: Start, tmp_path: Path) -> None:
    """Of PyPI: it reads the answer into a data set, and retrieves what the answer names."""
    datasets = [instance(uid, "2.25.98") for uid in UIDS]

    def store(base: str, **options: Any) -> Any:
        client = DICOMwebClient(base, headers={"Authorization": "Basic Q1QxOg=="}, chunk_size=2**16)
        return client.store_instances(datasets, **options)

    async with start(studies=forward(tmp_path)) as gateway:
        for options in ({}, {"study_instance_uid": "2.25.98"}):
            answer = await asyncio.to_thread(store, base_of(gateway), **options)
            assert [str(one.ReferencedSOPInstanceUID) for one in answer.ReferencedSOPSequence] == UIDS
            assert "FailedSOPSequence" not in answer
            assert answer.RetrieveURL == f"{base_of(gateway)}/studies/2.25.98"
            urls = [str(one.RetrieveURL) for one in answer.ReferencedSOPSequence]
            assert urls == [f"{answer.RetrieveURL}/series/2.25.98.1/instances/{uid}" for uid in UIDS]
        assert await kept(gateway) == UIDS


async def test_the_rust_crate_dicom_web(start: Start, tmp_path: Path) -> None:
    paths = saved(tmp_path)
    async with start(studies=forward(tmp_path)) as gateway:
        answer = await dicomweb_rs.store(base_of(gateway), "CT1", *paths)
        assert [one["00081155"]["Value"] for one in answer["00081199"]["Value"]] == [[uid] for uid in UIDS]
        assert await kept(gateway) == UIDS


async def test_the_client_of_ohif(start: Start, tmp_path: Path) -> None:
    """dicomweb-client of npm."""
    paths = saved(tmp_path)
    async with start(studies=forward(tmp_path)) as gateway:
        told = await dicomweb_client_js.store(base_of(gateway), *paths, authorization="Basic Q1QxOg==")
        assert "error" not in told
        assert await kept(gateway) == UIDS


async def test_what_dcmjs_writes(start: Start, tmp_path: Path) -> None:
    """Files first; then DICOM JSON of the same instances, which are here already."""
    paths = saved(tmp_path)
    async with start(studies=forward(tmp_path)) as gateway:
        for form in ("dicom", "json"):
            told = await dcmjs.stow(base_of(gateway), form, *paths, authorization="Basic Q1QxOg==")
            stored = [one["00081155"]["Value"] for one in told["answer"].get("00081199", {}).get("Value", ())]
            assert (told["status"], stored) == (200, [[uid] for uid in UIDS]), f"{form}: {told}"
        assert await kept(gateway) == UIDS
