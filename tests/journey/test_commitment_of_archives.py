"""Archives are asked for storage commitment of what they have, and files wait for it in the spool."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select

from gateway.assembly import process as app
from gateway.clock import now
from gateway.config.dicom import Dicom
from gateway.config.dicom_destinations import DicomDestination
from gateway.config.studies import SpoolSection, Studies
from gateway.journey.image_forwarding.removal import ImageRemoval
from gateway.operations import studies_view
from gateway.operations.parked import parked_work
from gateway.store import outbox_given_up, outbox_listing
from gateway.store.schema import archive_commitments
from tests.conftest import until
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_image_forwarding import STUDY, instances, send, to
from tests.peers.orthanc import Orthanc
from tests.peers.pynetdicom_archive import Archive, archive


def asking(port: int, **values: Any) -> DicomDestination:
    return to(port, **{"storage_commitment": True, "commitment_seconds": 60, **values})


def forwarding(spool: Path, destination: DicomDestination, port: int = 0) -> dict[str, Any]:
    section = SpoolSection(folder=spool, free_gb=0)
    studies = Studies(quiet_seconds=0.2, storage="forward", spool=section)
    return {"dicom": Dicom(port=port, destinations=[destination]), "studies": studies}


async def committed(gateway: app.Running) -> list[str]:
    wanted = select(archive_commitments.c.sop_uid).where(archive_commitments.c.committed_at.is_not(None))
    return sorted({*await gateway.store.read(lambda connection: connection.execute(wanted).scalars().all())})


async def removed(gateway: app.Running, spool: Path) -> int:
    return await ImageRemoval(gateway.store, spool, 0.0, now).remove()


async def asked(scp: Archive, number: int = 1) -> None:
    await until(lambda: len(scp.transactions) >= number)


async def reported(scp: Archive, gateway: app.Running, number: int) -> None:
    """Report every transaction, until so many instances are committed: an archive that is slow is asked for a study in
    several."""
    async with asyncio.timeout(120):
        while await committed(gateway) != uids(number):
            for one in range(len(scp.transactions)):
                assert await asyncio.to_thread(scp.report_to, gateway.dicom_port, one) == 0x0000


def uids(number: int) -> list[str]:
    return [f"{STUDY}.1.{one}" for one in range(1, number + 1)]


@sqlite
async def test_orthanc_commits_what_it_has(start: Start, orthanc: Orthanc, tmp_path: Path) -> None:
    destination = asking(orthanc.dicom_port, ae_title="ORTHANC")
    async with start(**forwarding(tmp_path, destination)) as gateway:
        await orthanc.knows("GATEWAY", gateway.dicom_port)
        await send(gateway, *instances(3))
        await quiet(gateway)
        assert await committed(gateway) == uids(3)
        assert await removed(gateway, tmp_path) == 3


async def test_the_report_comes_after_a_restart_and_files_wait_for_it(start: Start, tmp_path: Path) -> None:
    with archive() as scp:
        async with start(**forwarding(tmp_path, asking(scp.port))) as gateway:
            await send(gateway, *instances(3))
            await asked(scp)
            assert await removed(gateway, tmp_path) == 0
        async with start(**forwarding(tmp_path, asking(scp.port))) as gateway:
            await reported(scp, gateway, 3)
            await quiet(gateway)
            assert await asyncio.to_thread(scp.report_to, gateway.dicom_port) == 0x0000, "the same report again"
            await quiet(gateway)
            assert await committed(gateway) == uids(3)
            assert await removed(gateway, tmp_path) == 3


@sqlite
async def test_a_report_over_the_association_of_the_request(start: Start, tmp_path: Path) -> None:
    with archive() as scp:
        scp.over_same = True
        async with start(**forwarding(tmp_path, asking(scp.port))) as gateway:
            await send(gateway, *instances(2))
            await quiet(gateway)
            assert await committed(gateway) == uids(2)
            study = await gateway.store.read(partial(studies_view.detail, study_uid=STUDY))
            assert study is not None
            last = [one.outcome for one in study.deliveries if one.kind == "commit:pacs"][-1]
            assert last == {"what": "2 instances committed"}


@sqlite
async def test_what_the_archive_does_not_have_is_sent_again(start: Start, tmp_path: Path) -> None:
    """And needs a person when that does not help."""
    one, other = uids(2)
    with archive() as scp:
        scp.over_same = True
        scp.failing = {one: [0x0112], other: [0x0112, 0x0110, 0x0110]}
        async with start(**forwarding(tmp_path, asking(scp.port))) as gateway:
            await send(gateway, *instances(2))
            await quiet(gateway)
            assert await committed(gateway) == [one]
            [parked] = (await gateway.store.read(partial(parked_work, most=9))).deliveries
            assert (parked["kind"], parked["subject"]) == ("commit:pacs", STUDY)
            text = "1 instances are not committed after 3 requests: Failure Reason 0110"
            assert parked["outcome"]["error"] == text
            assert await removed(gateway, tmp_path) == 0
            await gateway.store.write(partial(outbox_listing.replay, ids=[parked["id"]], now=now()))
            await quiet(gateway)
            assert await committed(gateway) == [one, other]
            assert await removed(gateway, tmp_path) == 2
    assert (scp.held.count(one), scp.held.count(other)) == (2, 3)


@sqlite
async def test_an_archive_that_does_not_report_is_asked_again(start: Start, tmp_path: Path) -> None:
    with archive() as scp:
        async with start(**forwarding(tmp_path, asking(scp.port, commitment_seconds=0.3))) as gateway:
            await send(gateway, *instances(2))
            await asked(scp, 3)
            # Whichever request is reported: it speaks of the same instances.
            await reported(scp, gateway, 2)
            await quiet(gateway)
            assert await committed(gateway) == uids(2)
    assert len({str(one.TransactionUID) for one in scp.transactions}) == len(scp.transactions)


@sqlite
async def test_an_archive_that_refuses_the_request_needs_a_person(start: Start, tmp_path: Path) -> None:
    """Who gives it up lets the files go."""
    with archive() as scp:
        scp.answers = [0x0213, 0x0124]
        async with start(**forwarding(tmp_path, asking(scp.port))) as gateway:
            await send(gateway, *instances(1))
            await quiet(gateway)
            [parked] = (await gateway.store.read(partial(parked_work, most=9))).deliveries
            assert parked["outcome"]["error"] == "N-ACTION status 0124"
            assert await removed(gateway, tmp_path) == 0
            give_up = partial(
                outbox_given_up.give_up, ids=[parked["id"]], person="Kim", note="no commitment", now=now()
            )
            await gateway.store.write(give_up)
            assert await removed(gateway, tmp_path) == 1


@sqlite
async def test_a_report_of_a_transaction_that_is_not_ours_is_refused(start: Start, tmp_path: Path) -> None:
    with archive() as scp:
        async with start(**forwarding(tmp_path, asking(scp.port))) as gateway:
            await send(gateway, *instances(1))
            await asked(scp)
            scp.transactions[0].TransactionUID = "1.2.3"
            assert await asyncio.to_thread(scp.report_to, gateway.dicom_port) == 0x0115
            assert await committed(gateway) == []
