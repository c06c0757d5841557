"""Instances at archives with STOW-RS and in folders: as they came, with the rules of other destinations."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import select

from bench.ports import free_port
from gateway.assembly import process as app
from gateway.clock import elapsed, now
from gateway.config.destinations import DestinationRetry
from gateway.config.image_destinations import ForwardTo
from gateway.config.studies import SpoolSection, Studies
from gateway.operations.parked import parked_work
from gateway.operations.receivers import pause_all, resume
from gateway.records.receiver import Receiver, ReceiverType
from gateway.store.schema import audit, outbox, pixel_files
from gateway.work.failures import MOST_UNEXPLAINED
from tests.journey.running import Start, config_of, quiet, sqlite
from tests.journey.test_image_forwarding import CT, STUDY, instances, remove, send, stand, standing
from tests.peers.orthanc import Orthanc
from tests.peers.stow import failed, nothing_listed, plain, stored, stow_archive


def to(name: str, **values: Any) -> ForwardTo:
    retry = DestinationRetry(first_seconds=0.05, max_seconds=0.1)
    return ForwardTo(**{"name": name, "timeout_seconds": 60, "retry": retry, **values})


def forwarding(spool: Path, *destinations: ForwardTo) -> dict[str, Any]:
    section = SpoolSection(folder=spool, free_gb=0)
    return {"studies": Studies(quiet_seconds=0.3, storage="forward", spool=section, forward_to=list(destinations))}


@sqlite
async def test_archives_and_folders_get_the_files_that_arrived(
    start: Start, orthanc_web: Orthanc, tmp_path: Path
) -> None:
    files = [Path(str(get_testdata_file(one))) for one in ("JPEG2000.dcm", "image_dfl.dcm", "MR_small_bigendian.dcm")]
    share = tmp_path / "share"
    share.mkdir()
    destinations = to("orthanc", url=orthanc_web.dicomweb), to("share", folder=share)
    async with start(**forwarding(tmp_path / "spool", *destinations)) as gateway:
        await send(gateway, *instances(3), *files)
        await quiet(gateway)
        await stand(gateway, standing("orthanc", sent=3), standing("share", sent=3))
        rows = await gateway.store.read(lambda c: c.execute(select(pixel_files)).all())
        spooled = sorted((tmp_path / "spool" / row.file).read_bytes() for row in rows)
        assert sorted(await orthanc_web.files()) == spooled
        assert sorted(one.read_bytes() for one in share.glob("*/*.dcm")) == spooled
        assert await remove(gateway) == 6
        outcomes = await gateway.store.read(lambda c: c.execute(select(outbox.c.kind, outbox.c.outcome)).all())
    told = {(row.kind, row.outcome["what"], row.outcome["status"]) for row in outcomes if row.kind.startswith("store")}
    assert told == {("store:orthanc", "STOW-RS", "HTTP 200"), ("store:share", "file", "written")}
    assert {one.name for one in (share / STUDY).iterdir()} == {f"{STUDY}.1.{number}.dcm" for number in (1, 2, 3)}


@sqlite
async def test_what_answers_lead_to(start: Start, tmp_path: Path) -> None:
    answers = {
        1: [stored(202, 0xB007)],
        2: [failed(409, 0xA700)],
        3: [failed(200, 0xA900)],
        4: [nothing_listed()] * MOST_UNEXPLAINED,
        5: [nothing_listed()],
        6: [plain(503, "later"), plain(500)],
        7: [plain(413)],
    }
    async with stow_archive() as archive:
        archive.answers = {f"{STUDY}.1.{number}": list(replies) for number, replies in answers.items()}
        async with start(**forwarding(tmp_path, to("web", url=archive.url))) as gateway:
            await send(gateway, *instances(7))
            await quiet(gateway)
            await stand(gateway, standing("web", sent=4, failed=3))
            parked = (await gateway.store.read(partial(parked_work, most=9))).deliveries
            done = await gateway.store.read(
                lambda c: c.execute(select(outbox.c.outcome).where(outbox.c.subject == f"{STUDY}.1.1")).scalar_one()
            )
    assert done == {"status": "HTTP 202", "what": "STOW-RS", "note": "data set does not match SOP Class"}
    assert {one["subject"].rpartition(".")[2]: one["outcome"]["error"] for one in parked} == {
        "3": "STOW-RS status A900 (HTTP 200)",
        "4": "STOW-RS status HTTP 200 the instance is listed neither as stored nor as failed",
        "7": "STOW-RS status HTTP 413 Request Entity Too Large",
    }
    came = [uid.rpartition(".")[2] for uid in archive.came]
    assert {one: came.count(one) for one in came} == {
        "1": 1, "2": 2, "3": 1, "4": MOST_UNEXPLAINED, "5": 2, "6": 3, "7": 1
    }  # fmt: skip


@sqlite
async def test_what_an_archive_does_not_take_compressed_goes_without(start: Start, tmp_path: Path) -> None:
    file = Path(str(get_testdata_file("JPEG2000.dcm")))
    uid = str(pydicom.dcmread(file).SOPInstanceUID)
    async with stow_archive() as first, stow_archive() as second:
        first.answers, second.answers = {uid: [plain(415)]}, {uid: [failed(409, 0xC122)]}
        archives = {"first": first, "second": second}
        destinations = (to(name, url=one.url) for name, one in archives.items())
        async with start(**forwarding(tmp_path, *destinations)) as gateway:
            await send(gateway, file, *instances(1))
            await quiet(gateway)
            of_file = select(outbox.c.outcome).where(outbox.c.subject == uid)
            sent = await gateway.store.read(lambda c: c.execute(of_file).scalars().all())
    for archive in archives.values():
        assert len(archive.requests) == 3
        assert pydicom.dcmread(BytesIO(archive.held[uid])).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert [one["note"] for one in sent] == ["sent without compression"] * 2


@sqlite
async def test_receivers_that_are_down_hold_nobody_and_get_all(start: Start, tmp_path: Path) -> None:
    port, share = free_port(), tmp_path / "mount" / "share"
    async with stow_archive() as up:
        destinations = to("away", url=f"http://127.0.0.1:{port}/dicom-web"), to("share", folder=share)
        async with start(**forwarding(tmp_path / "spool", *destinations, to("up", url=up.url))) as gateway:
            await send(gateway, *instances(12))
            await stand(gateway, standing("away", waiting=12), standing("share", waiting=12), standing("up", sent=12))
            share.mkdir(parents=True)
            async with stow_archive(port) as away:
                await quiet(gateway)
            await stand(gateway, *(standing(name, sent=12) for name in ("away", "share", "up")))
    assert away.held == up.held
    assert len(list(share.glob("*/*.dcm"))) == 12


@sqlite
async def test_rules_login_and_pauses_are_those_of_other_destinations(start: Start, tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    async with stow_archive() as archive:
        archive.token = "secret"
        destinations = (
            to("web", url=archive.url, token="secret", calling_aes=["CT2"]),
            to("mr", folder=share, modalities=["MR"]),
            to("ct", folder=share, modalities=["CT"], sop_classes=[CT.SOPClassUID]),
        )
        async with start(**forwarding(tmp_path / "spool", *destinations)) as gateway:
            receivers = [Receiver("web", ReceiverType.DICOM)]
            await gateway.store.write(partial(pause_all, receivers=receivers, person="op", now=now()))
            await send(gateway, *instances(2))
            await send(gateway, *instances(1, first=3), calling_ae="CT2")
            await stand(gateway, standing("ct", sent=3), standing("web", waiting=1))
            await gateway.store.write(partial(resume, receivers=receivers, names=["web"]))
            await quiet(gateway)
    assert archive.came == [f"{STUDY}.1.3"]


@sqlite
async def test_the_audit_trail_names_archives_and_folders_by_their_address(start: Start, tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    async with stow_archive() as archive:
        destinations = to("web", url=archive.url), to("share", folder=share)
        async with start(**forwarding(tmp_path / "spool", *destinations)) as gateway:
            await send(gateway, *instances(2))
            await quiet(gateway)
        async with start(**forwarding(tmp_path / "spool")) as gateway:  # events are chained when it ends, if not before
            events = await gateway.store.read(lambda c: c.execute(select(audit.c.event)).scalars().all())
    peers = [json.loads(one).get("peer") or {} for one in events]
    assert {(one["name"], one["address"]) for one in peers if one.get("name") in ("web", "share")} == {
        ("web", f"{archive.url}/studies"),
        ("share", share.as_uri()),
    }


@sqlite
async def test_instances_wait_for_the_hours_of_a_destination(database_url: str, tmp_path: Path) -> None:
    ahead = 0

    def clock() -> int:
        return now() + ahead

    share = tmp_path / "share"
    share.mkdir()
    opens = datetime.fromtimestamp(now() / 1e6, UTC) + timedelta(hours=6)
    window = f"{opens:%H:%M}-{opens + timedelta(hours=6):%H:%M}"
    destinations = to("night", folder=share, windows=[window]), to("day", folder=share)
    config = config_of(database_url, **forwarding(tmp_path / "spool", *destinations))
    async with app.running(config, clock=clock, elapsed=elapsed) as gateway:
        await send(gateway, *instances(3))
        await stand(gateway, standing("day", sent=3), standing("night", waiting=3))
        kept = select(outbox.c.attempts).where(outbox.c.kind == "store:night")
        assert (await gateway.store.read(lambda c: c.execute(kept).scalars().all())) == [0, 0, 0]
        ahead = 7 * 3600 * 1_000_000
        await stand(gateway, standing("day", sent=3), standing("night", sent=3))
        assert (await gateway.store.read(lambda c: c.execute(kept).scalars().all())) == [1, 1, 1]
