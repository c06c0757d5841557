"""Storage commitment of Orthanc, which asks for what it has sent; two gateways on one database report once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pydicom
import pytest

from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_image_forwarding import instances, send, to
from tests.journey.test_storage_commitment import asked, committing, refs, reporting_to, transactions, uids
from tests.peers.orthanc import Orthanc
from tests.peers.pynetdicom_commitment import reports_at, wanted
from tests.peers.pynetdicom_store import storage_scp


@sqlite
async def test_orthanc_sends_asks_and_gets_its_report(start: Start, orthanc: Orthanc, tmp_path: Path) -> None:
    paths = []
    for number, one in enumerate(instances(3)):
        assert isinstance(one, pydicom.Dataset)
        path = tmp_path / f"{number}.dcm"
        one.save_as(path, enforce_file_format=True)
        paths.append(path)
    await orthanc.upload(*paths)
    with storage_scp() as archive:
        modality = reporting_to(orthanc.dicom_port, "orthanc", "ORTHANC")
        sections = committing(tmp_path / "spool", to(archive.port), modality)
        async with start(**sections) as gateway:
            await orthanc.send_to("GATEWAY", gateway.dicom_port)
            whole = await orthanc.ask_for_commitment(refs(1, 2, 3))
            part = await orthanc.ask_for_commitment(refs(1, 9))
            await quiet(gateway)
            assert await orthanc.commitment(whole) == ("Success", uids(1, 2, 3), {})
            assert await orthanc.commitment(part) == ("Failure", uids(1), {uids(9)[0]: 0x0112})


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_two_gateways_report_once(start: Start, tmp_path: Path) -> None:
    """SQLite has one gateway alone."""
    with storage_scp() as archive, reports_at() as reports:
        sections = committing(tmp_path, to(archive.port), reporting_to(reports.port))
        async with start(**sections) as one, start(**sections) as other:
            await send(one, *instances(4))
            requests = [wanted(refs(number % 4 + 1)) for number in range(12)]
            await asyncio.gather(asked(one, *requests[:6]), asked(other, *requests[6:]))
            await quiet(one)
            kept = await transactions(other)
    assert len(kept) == len(reports.came) == 12
    assert {str(stated.TransactionUID) for _, stated in reports.came} == {str(each.TransactionUID) for each in requests}
