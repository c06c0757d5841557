"""A real Orthanc with the configuration that `docker/compose.yaml` mounts sends what it gets to a gateway."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from sqlalchemy import Connection

from bench.ports import free_port
from gateway.assembly import process as app
from gateway.config.database import Database
from gateway.config.dicom import Dicom
from gateway.config.hl7 import Hl7, Listener
from gateway.config.http import Http
from gateway.config.tree import Config
from gateway.records.identifiers import StudyInstanceUID
from gateway.store import studies
from tests.docker.test_compose import DOCKER, SERVICES, interpolated
from tests.peers.orthanc import Orthanc
from tests.peers.process import DEBIAN, accepts, end, found, wait_until


@dataclass(frozen=True)
class Pacs:
    orthanc: Orthanc
    gateway_port: int
    """Where it looks for the gateway."""


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Pacs]:
    """Orthanc as Compose starts it, but for its ports, its folders and where the gateway is."""
    program = found("Orthanc", DEBIAN)
    settings: dict[str, Any] = json.loads((DOCKER / "orthanc.json").read_text(encoding="utf-8"))
    ae_title, _host, _port = settings["DicomModalities"]["gateway"]
    users = json.loads(interpolated(SERVICES["orthanc"]["environment"]["ORTHANC__REGISTERED_USERS"]))
    http_port, dicom_port, gateway_port = free_port(), free_port(), free_port()
    folder = tmp_path / "orthanc"
    settings |= {
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomModalities": {"gateway": [ae_title, "127.0.0.1", gateway_port]},
        "RegisteredUsers": users,
        "LuaScripts": [str(DOCKER / Path(script).name) for script in settings["LuaScripts"]],
        "StableAge": 1,
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "Plugins": [],
        "RemoteAccessAllowed": False,
    }
    folder.mkdir()
    file = folder / "orthanc.json"
    file.write_text(json.dumps(settings), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, file], stdout=log, stderr=log)
    try:
        wait_until(lambda: accepts(http_port) and accepts(dicom_port), process, "Orthanc", 120)
        ((name, password),) = users.items()
        yield Pacs(Orthanc(f"http://{name}:{password}@127.0.0.1:{http_port}", dicom_port), gateway_port)
    finally:
        end(process)


async def test_a_study_that_orthanc_gets_arrives_at_the_gateway(pacs: Pacs, tmp_path: Path) -> None:
    first, second = (Path(str(get_testdata_file(name))) for name in ("CT_small.dcm", "MR_small.dcm"))
    wanted = {str(dcmread(image, stop_before_pixels=True).StudyInstanceUID) for image in (first, second)}
    config = Config(
        database=Database(url=f"sqlite:///{tmp_path / 'gateway.db'}"),
        hl7=Hl7(listeners=[Listener(port=0)]),
        dicom=Dicom(port=pacs.gateway_port),
        http=Http(port=0),
    )
    changed = asyncio.Event()
    async with app.running(config) as gateway:
        gateway.store.on_due(lambda _due: changed.set())
        await pacs.orthanc.upload(first, second)

        def arrived(connection: Connection) -> set[str]:
            return {uid for uid in wanted if studies.get(connection, StudyInstanceUID(uid)) is not None}

        async with asyncio.timeout(120):
            while await gateway.store.read(arrived) != wanted:
                await changed.wait()
                changed.clear()
