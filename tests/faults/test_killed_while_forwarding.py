"""kill -9 while instances come and go on: each that storescu got a Success for is at both archives, byte for byte.

The disk of the spool is filled for a while, also that of the database where it is the same disk; then an archive is
away for a third of the time, and the spool reaches its quota. storescu gets A700 meanwhile, and sends again.
`FAULTS_IMAGES` and `FAULTS_IMAGE_KILLS`, five at least: how many; on PostgreSQL two gateways share the work, and either
is killed.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import os
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import UID
from sqlalchemy import Connection, func, select

from bench.ports import free_port
from gateway.store import Store
from gateway.store.schema import outbox, pixel_files, released_files
from tests.faults.small_disk import MIB, fill, small_ext4
from tests.faults.whole_gateway import WholeGateway
from tests.peers.dcmtk import storescp, storescu
from tests.peers.orthanc import Orthanc

IMAGES: Final = int(os.environ.get("FAULTS_IMAGES", "300"))
KILLS: Final = max(5, int(os.environ.get("FAULTS_IMAGE_KILLS", "5")))
"""With fewer, what happens besides (`Episodes`) would take one another's place: a disk that was filled stayed full."""
BATCH: Final = 10
"""Instances of an association of storescu."""
SENDERS: Final = 4
FILE_BYTES: Final = 38_000
QUOTA: Final = max(IMAGES // 3, 2 * SENDERS * BATCH)
"""Files that the spool has room for: what storescu sends at once must be less, or no sender would come to its end."""
DISK_MIB: Final = FILE_BYTES * QUOTA // MIB + 48
"""For the quota, and a database with its log."""
PATIENT_SECONDS: Final = 600
STILL: Final = 50
"""Tenths of a second without a Success: no more is let in."""
A700: Final = "Refused: OutOfResources"
STUDY: Final = "1.2.826.0.1.3680043.8.498.18"


def made(folder: Path) -> tuple[list[list[Path]], dict[str, str]]:
    """Files in batches, and SOP Instance UID -> SHA-256 of the data set of each."""
    instance = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    del instance.DataSetTrailingPadding
    batches: list[list[Path]] = []
    digests: dict[str, str] = {}
    for number in range(IMAGES):
        one = copy.deepcopy(instance)
        study = f"{STUDY}.{number // 100}"
        one.StudyInstanceUID, one.SeriesInstanceUID, one.InstanceNumber = UID(study), UID(f"{study}.1"), number
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = UID(f"{study}.1.{number}")
        one.PixelData = random.Random(number).randbytes(len(instance.PixelData))
        path = folder / f"{number}.dcm"
        one.save_as(path)
        digests[str(one.SOPInstanceUID)] = digest_of(path.read_bytes())
        if number % BATCH == 0:
            batches.append([])
        batches[-1].append(path)
    return batches, digests


def digest_of(raw: bytes) -> str:
    """Of the data set of a file, behind its File Meta Information."""
    return hashlib.sha256(raw[144 + int.from_bytes(raw[140:144], "little") :]).hexdigest()


def settings(spool: Path, orthanc: Orthanc, storescp_port: int) -> dict[str, Any]:
    retry = {"first_seconds": 0.2, "max_seconds": 1}
    quota = FILE_BYTES * QUOTA / 1e9
    return {
        "dicom": {
            "destinations": [
                {
                    "name": "orthanc", "ae_title": "ORTHANC", "port": orthanc.dicom_port, "store": True,
                    "associations": 2, "retry": retry,
                },
                {"name": "storescp", "ae_title": "ANY", "port": storescp_port, "store": True, "retry": retry},
            ]
        },
        "studies": {
            "storage": "forward", "spool": {"folder": str(spool), "quota_gb": quota, "free_gb": 0, "keep_hours": 0},
        },
    }  # fmt: skip


class Senders:
    """storescu for each batch, until it got Success for all of it."""

    def __init__(self, gateways: Sequence[WholeGateway], batches: list[list[Path]]) -> None:
        self._gateways = gateways
        self._waiting = list(reversed(batches))
        self.allowed = 0
        """Batches that may be under way or sent: two gateways are done with a few of them while one is killed, and none
        would be left for the disk that is full."""
        self._begun = 0
        self.sent = 0
        """Instances with a Success."""
        self.refused = 0
        """Associations that ended otherwise."""
        self.full = 0
        """Instances that were refused with A700."""

    async def send(self) -> None:
        dice = random.Random(len(self._waiting))
        while self._waiting:
            if self._begun >= self.allowed:
                await asyncio.sleep(0.1)
                continue
            self._begun += 1
            batch = self._waiting.pop()
            while (done := await storescu(dice.choice(self._gateways).dicom, *batch)).returncode:
                self.refused += 1
                self.full += (done.stdout + done.stderr).count(A700)
                await asyncio.sleep(1.0)
            self.sent += len(batch)


@asynccontextmanager
async def gateways(
    folder: Path, url: str, spool: Path, orthanc: Orthanc, storescp_port: int
) -> AsyncIterator[list[WholeGateway]]:
    number = 2 if url.startswith("postgresql") else 1
    configured = settings(spool, orthanc, storescp_port)
    started = [WholeGateway(folder / str(one), url, configured, {}) for one in range(number)]
    try:
        for one in started:
            await one.start()
        yield started
    finally:
        for one in started:
            one.stop()


async def gone(store: Store) -> None:
    """Wait until everything was sent, and has left the spool."""
    waits = select(func.count()).where(outbox.c.kind.startswith("store:"), outbox.c.state != "done")
    kept = select(func.count()).where(pixel_files.c.removed_at.is_(None))
    released = select(func.count()).select_from(released_files)

    def left(connection: Connection) -> int:
        return sum(int(connection.execute(one).scalar_one()) for one in (waits, kept, released))

    async with asyncio.timeout(PATIENT_SECONDS):
        while await store.read(left):
            await asyncio.sleep(0.5)


async def held_by(orthanc: Orthanc) -> dict[str, str]:
    held = {}
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{orthanc.url}/instances?expand") as answer:
            listed = await answer.json()
        for one in listed:
            async with session.get(f"{orthanc.url}/instances/{one['ID']}/file") as answer:
                held[one["MainDicomTags"]["SOPInstanceUID"]] = digest_of(await answer.read())
    return held


class Episodes:
    """What happens besides, by the number of kills before it."""

    def __init__(self, disk: Path, archive: Callable[[], AbstractContextManager[int]]) -> None:
        self._filler = disk / "filler"
        self._archive = archive
        self._up = ExitStack()
        self._acts = {
            0: self._archive_comes, KILLS // 5: self._fill, 2 * KILLS // 5: self.free,
            3 * KILLS // 5: self._up.close, 4 * KILLS // 5: self._archive_comes,
        }  # fmt: skip
        self.is_full = False

    def _archive_comes(self) -> None:
        self._up.enter_context(self._archive())

    def _fill(self) -> None:
        fill(self._filler)
        self.is_full = True

    def free(self) -> None:
        """Give the disk its room back."""
        self._filler.unlink(missing_ok=True)
        self.is_full = False

    def act(self, kill: int) -> None:
        """What begins or ends now."""
        self._acts.get(kill, self.fill_again)()

    def fill_again(self) -> None:
        """Take the room that files have left behind, while the disk is to be full."""
        if self.is_full:
            self._fill()

    def close(self) -> None:
        self._up.close()


async def says_full(gateway: WholeGateway, senders: Senders, episodes: Episodes) -> str:
    """Wait until an instance was refused with A700, and the state says why; what it says. Meanwhile the disk stays full
    whatever leaves it."""
    before = senders.full
    url = f"http://127.0.0.1:{gateway.http}/api/state"
    async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENT_SECONDS):
        while True:
            async with session.get(url) as answer:
                parts = (await answer.json())["parts"]
            spool = next(one for one in parts if one["kind"] == "spool")
            if spool["level"] == "bad" and senders.full > before:
                return "; ".join(
                    f"{one['kind']} {one['name']}: {one['detail']}" for one in parts if one["level"] == "bad"
                )
            episodes.fill_again()
            await asyncio.sleep(0.1)


CASES: Final = {"sqlite": "sqlite", "sqlite on the disk of the spool": "sqlite", "postgresql": "postgresql"}


@pytest.mark.parametrize(("case", "database_url"), CASES.items(), ids=CASES, indirect=["database_url"])
async def test_both_archives_have_all_that_was_sent(
    tmp_path: Path, case: str, database_url: str, orthanc: Orthanc
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "held").mkdir()
    batches, digests = await asyncio.to_thread(made, tmp_path / "files")
    port = free_port()
    async with AsyncExitStack() as stack:
        disk = stack.enter_context(small_ext4(tmp_path / "disk", DISK_MIB))
        url = f"sqlite:///{disk}/gateway.db" if "disk" in case else database_url
        episodes = stack.enter_context(closing(Episodes(disk, partial(storescp, tmp_path / "held", "+xa", port=port))))
        started = await stack.enter_async_context(gateways(tmp_path, url, disk / "spool", orthanc, port))
        senders = Senders(started, batches)
        sending = [asyncio.create_task(senders.send()) for _ in range(SENDERS)]
        await killed_again_and_again(started, senders, episodes)
        async with asyncio.timeout(PATIENT_SECONDS):
            await asyncio.gather(*sending)
        store = await Store.open(url)
        stack.push_async_callback(store.close)
        await gone(store)
        # What was being written when a gateway was killed is removed when the spool is looked through.
        left = list((disk / "spool").glob("*/*/*.dcm"))
    of_storescp = {
        str(pydicom.dcmread(one, stop_before_pixels=True).SOPInstanceUID): digest_of(one.read_bytes())
        for one in (tmp_path / "held").iterdir()
    }
    of_orthanc = await held_by(orthanc)
    print(
        f"{case}: {KILLS} kills, {senders.sent} instances sent, {senders.full} refused with A700, "
        f"{senders.refused} associations of storescu came to nothing; "
        f"Orthanc holds {len(of_orthanc)}, storescp {len(of_storescp)}; "
        f"{sum(digests.get(uid) == digest for uid, digest in of_orthanc.items())} and "
        f"{sum(digests.get(uid) == digest for uid, digest in of_storescp.items())} as they were made"
    )
    assert of_orthanc == digests
    assert of_storescp == digests
    assert len(left) <= KILLS * SENDERS


async def killed_again_and_again(gateways: list[WholeGateway], senders: Senders, episodes: Episodes) -> None:
    dice = random.Random(18)
    for kill in range(KILLS):
        senders.allowed = (kill + 2) * IMAGES // BATCH // (KILLS + 1)
        episodes.act(kill)
        if episodes.is_full:
            print(
                f"\nthe disk is full after {senders.sent} instances: {await says_full(gateways[0], senders, episodes)}"
            )
        await reached(senders, dice.randint(kill * IMAGES // (KILLS + 1), (kill + 1) * IMAGES // (KILLS + 1)))
        await asyncio.sleep(dice.uniform(0, 0.3))
        killed = dice.choice(gateways)
        await killed.kill()
        await started_again(killed, episodes)
    senders.allowed = IMAGES


async def started_again(gateway: WholeGateway, episodes: Episodes) -> None:
    """A database on a full disk cannot be opened: then as by a service manager, which starts it until there is room."""
    try:
        await gateway.start()
    except pytest.fail.Exception:
        reason = gateway.log.splitlines()[-1]
        assert episodes.is_full, reason
        assert "disk is full" in reason
        print(f"killed on the full disk it does not start: {reason}")
        episodes.free()
        await gateway.start()


async def reached(senders: Senders, number: int) -> None:
    """Wait until so many are sent, or while the quota lets no more in for a while."""
    last, still = -1, 0
    while senders.sent < number and still < STILL:
        still = still + 1 if senders.sent == last else 0
        last = senders.sent
        await asyncio.sleep(0.1)
