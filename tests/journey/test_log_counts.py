"""A fault of every image, message and delivery, in a process of its own: two lines of log for each cause."""

from __future__ import annotations

import json
import signal
from collections import defaultdict
from pathlib import Path
from typing import Any

import aiohttp
import pydicom
from aiohttp import web

from bench.ports import free_port
from gateway.wire.dimse import client
from gateway.wire.hl7.mllp_client import MllpClient
from tests.commands import served
from tests.conftest import comes_true
from tests.journey.messages import orm
from tests.journey.test_study_arrival import sample
from tests.wire.fhir.test_client import serving

IMAGES, MESSAGES, STUDIES = 60, 30, 5
SECONDS = 60


async def refusing(_request: web.Request) -> web.Response:
    issue = {"severity": "error", "code": "invalid", "diagnostics": "no"}
    return web.json_response({"resourceType": "OperationOutcome", "issue": [issue]}, status=422)


def without_series(number: int) -> pydicom.Dataset:
    dataset = sample()
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(f"2.25.{number}")
    del dataset.SeriesInstanceUID, dataset.PixelData
    return dataset


def of_study(number: int) -> pydicom.Dataset:
    dataset = sample()
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(f"2.25.9{number}")
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"2.25.7{number}", f"2.25.8{number}"
    del dataset.PixelData
    return dataset


async def _parked(http: int, count: int) -> None:
    async with aiohttp.ClientSession() as session:

        async def parked() -> int:
            async with session.get(f"http://127.0.0.1:{http}/api/deliveries?state=parked") as answer:
                return len((await answer.json())["deliveries"])

        await comes_true(parked, lambda number: number == count, seconds=SECONDS)


async def _make_faults(hl7: int, dicom: int, http: int) -> None:
    titles: dict[str, Any] = {"called_ae": "GATEWAY", "calling_ae": "SCANNER", "timeout": SECONDS}
    wrong = [without_series(number) for number in range(IMAGES)]
    assert {status for _, status in await client.store("127.0.0.1", dicom, wrong, **titles)} == {0xA900}
    right = [of_study(number) for number in range(STUDIES)]
    assert {status for _, status in await client.store("127.0.0.1", dicom, right, **titles)} == {0}
    async with MllpClient("127.0.0.1", hl7) as ris:
        for number in range(MESSAGES):
            assert b"MSA|AR|" in await ris.send(orm(control_id=f"C{number}"))
    await _parked(http, STUDIES)


async def test_a_cause_is_two_lines_however_often_it_occurs(tmp_path: Path) -> None:
    hl7, dicom, http = free_port(), free_port(), free_port()
    config = tmp_path / "gateway.yaml"
    async with serving(refusing) as ehr:
        config.write_text(json.dumps({
            "database": {"url": f"sqlite:///{tmp_path}/gateway.db"},
            "hl7": {"listeners": [{"name": "ris", "port": hl7, "sources": [{"application": "ANOTHER"}]}]},
            "dicom": {"port": dicom}, "http": {"port": http}, "studies": {"quiet_seconds": 0.1},
            "ehrs": [{"name": "main", "url": ehr, "write": "conditional_update"}], "log": {"format": "json"},
        }))  # fmt: skip
        async with served(tmp_path) as process:
            await _make_faults(hl7, dicom, http)
            process.signal(signal.SIGTERM)
            await process.ended()
            stderr = process.errors
    lines: dict[str, list[int]] = defaultdict(list)
    for line in map(json.loads, stderr.splitlines()):
        if line["level"] != "info":
            lines[line["logger"]].append(line.get("repeated", 1))
    assert {logger: (len(counts) <= 2, sum(counts)) for logger, counts in lines.items()} == {
        "gateway.journey.study_arrival.keeping": (True, IMAGES),
        "gateway.journey.order_intake.station": (True, MESSAGES),
        "gateway.work.worker": (True, STUDIES),
    }
    assert "2.25." not in stderr
