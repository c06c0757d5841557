"""Orthanc as the PACS that sends, and as the archive that gets: over DICOM, and over DICOMweb by its plugin."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import aiohttp
import pytest

from bench.ports import free_port
from tests.peers.process import DEBIAN, NO_DELAY, found, missing, wait_until

DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True)
class Counts:
    patients: int
    studies: int
    series: int
    instances: int


@dataclass(frozen=True)
class Orthanc:
    url: str
    """Of its REST interface, without a trailing slash."""
    dicom_port: int
    ae_title: str = "ORTHANC"

    async def upload(self, *paths: Path) -> list[str]:
        """Take files in; Orthanc's own identifiers of the instances."""
        return [(await self._call("POST", "/instances", data=path.read_bytes()))["ID"] for path in paths]

    async def upload_all(self, *paths: Path) -> int:
        """Take in what it can of the files; how many instances it holds then."""
        async with aiohttp.ClientSession() as session:
            for path in paths:
                async with session.post(f"{self.url}/instances", data=path.read_bytes()) as response:
                    await response.read()
        return (await self.statistics()).instances

    async def knows(self, ae_title: str, port: int, *, host: str = "127.0.0.1") -> None:
        await self._call("PUT", "/modalities/peer", json=[ae_title, host, port])

    async def echo(self) -> None:
        """C-ECHO to the peer it knows; fails when that fails."""
        await self._call("POST", "/modalities/peer/echo", json={})

    async def find_worklist(self, keys: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask the peer it knows for its worklist; what Orthanc makes of the answers, by keyword."""
        query = {"Query": keys, "Short": False, "Simplify": True}
        found: list[dict[str, Any]] = await self._call("POST", "/modalities/peer/find-worklist", json=query)
        return found

    async def send_to(self, ae_title: str, port: int, *, host: str = "127.0.0.1") -> dict[str, Any]:
        """Send everything it holds by C-STORE, one association; its report, with the counts of instances.

        Fails when Orthanc could not send one of them.
        """
        await self._call("PUT", "/modalities/peer", json=[ae_title, host, port])
        studies = await self._call("GET", "/studies")
        report: dict[str, Any] = await self._call("POST", "/modalities/peer/store", json=studies)
        return report

    async def ask_for_commitment(self, references: Sequence[tuple[str, str]]) -> str:
        """Ask the peer it knows for storage commitment of these (SOP Class UID, SOP Instance UID); its own name of the
        transaction."""
        instances = [{"SOPClassUID": one, "SOPInstanceUID": uid} for one, uid in references]
        path = "/modalities/peer/storage-commitment"
        return str((await self._call("POST", path, json={"DicomInstances": instances}))["ID"])

    async def commitment(self, transaction: str) -> tuple[str, list[str], dict[str, int]]:
        """The status of a transaction (`Pending`, `Success`, `Failure`), instances that are committed, and those that
        failed with the reason."""
        told = await self._call("GET", f"/storage-commitment/{transaction}")
        failed = {one["SOPInstanceUID"]: int(one["FailureReason"]) for one in told.get("Failures", [])}
        return told["Status"], sorted(one["SOPInstanceUID"] for one in told.get("Success", [])), failed

    async def remove(self, study_uid: str) -> None:
        """Delete a study, as somebody at the archive does."""
        for one in await self._call("POST", "/tools/lookup", data=study_uid):
            await self._call("DELETE", one["Path"])

    async def change_study_uid(self, study_uid: str, to: str) -> None:
        """Give a study another Study Instance UID, as somebody at the archive does; its instances keep theirs."""
        wanted = {
            "Replace": {"StudyInstanceUID": to}, "Keep": ["SeriesInstanceUID", "SOPInstanceUID"], "Force": True,
            "KeepSource": False,
        }  # fmt: skip
        for one in await self._call("POST", "/tools/lookup", data=study_uid):
            await self._call("POST", f"{one['Path']}/modify", json=wanted)

    async def forget_changes(self) -> None:
        """Empty its list of changes."""
        await self._call("DELETE", "/changes")

    @property
    def dicomweb(self) -> str:
        """Base address of its DICOMweb server (`orthanc_web` alone has one)."""
        return f"{self.url}/dicom-web"

    async def stow(self, url: str, user: str) -> dict[str, Any]:
        """Send everything it holds by STOW-RS (`orthanc_web` alone can); its report. Fails when Orthanc reports a
        failure."""
        server = {"Url": url, "Username": user, "Password": "", "HasDelete": False}
        await self._call("PUT", "/dicom-web/servers/peer", json=server)
        studies = await self._call("GET", "/studies")
        asked = {"Resources": studies, "Synchronous": True}
        report: dict[str, Any] = await self._call("POST", "/dicom-web/servers/peer/stow", json=asked)
        return report

    async def retrieve_from(self, base: str, study_uid: str) -> int:
        """Retrieve a study of a DICOMweb server (WADO-RS; `orthanc_web` alone can); how many instances it received."""
        await self._call("PUT", "/dicom-web/servers/peer", json={"Url": base})
        wanted = {"Resources": [{"Study": study_uid}], "Synchronous": True}
        report = await self._call("POST", "/dicom-web/servers/peer/retrieve", json=wanted)
        return int(report["ReceivedInstancesCount"])

    async def statistics(self) -> Counts:
        """How much it holds."""
        told = await self._call("GET", "/statistics")
        return Counts(told["CountPatients"], told["CountStudies"], told["CountSeries"], told["CountInstances"])

    async def files(self) -> list[bytes]:
        """The files of all instances that it holds."""
        ids = await self._call("GET", "/instances")
        async with aiohttp.ClientSession() as session:
            found = []
            for one in ids:
                async with session.get(f"{self.url}/instances/{one}/file") as response:
                    found.append(await response.read())
        return found

    async def _call(self, method: str, path: str, **body: Any) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, **body) as response,
        ):
            text = await response.text()
            assert response.ok, f"Orthanc answered {method} {path} with {response.status}: {text}"
            return json.loads(text) if text else None


@pytest.fixture
def orthanc() -> Iterator[Orthanc]:
    """An Orthanc of its own, empty, on free ports."""
    with running_orthanc() as orthanc:
        yield orthanc


@pytest.fixture
def orthanc_web() -> Iterator[Orthanc]:
    """The same, with the plugin that makes it a DICOMweb server."""
    if not DICOMWEB_PLUGIN.exists():
        missing("Orthanc's DICOMweb plugin", DEBIAN)
    with running_orthanc(str(DICOMWEB_PLUGIN)) as orthanc:
        yield orthanc


@contextmanager
def running_orthanc(*plugins: str, **options: Any) -> Iterator[Orthanc]:
    """An Orthanc of its own, empty, with `options` among its settings."""
    program = found("Orthanc", DEBIAN)
    with tempfile.TemporaryDirectory() as directory:
        http_port, dicom_port = free_port(), free_port()
        settings = {
            "Name": "test",
            "StorageDirectory": directory,
            "IndexDirectory": directory,
            "Plugins": list(plugins),
            "HttpPort": http_port,
            "DicomPort": dicom_port,
            "DicomAet": "ORTHANC",
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "SslEnabled": False,
            "DicomAssociationCloseDelay": 0,
            **options,
        }
        file = Path(directory) / "orthanc.json"
        file.write_text(json.dumps(settings), encoding="utf-8")
        environment = {**os.environ, **NO_DELAY}
        with (Path(directory) / "log").open("wb") as log:
            process = subprocess.Popen([program, file], env=environment, stdout=log, stderr=log)
        try:
            wait_until(lambda: _answers(http_port), process, "Orthanc", 120)
            yield Orthanc(f"http://127.0.0.1:{http_port}", dicom_port)
        finally:
            process.kill()  # asked to end it would take seconds to save what nobody wants
            process.wait()


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/system", timeout=5) as response:
            return bool(response.status == 200)
    except (URLError, ConnectionError, TimeoutError):
        return False
