"""The disk of the spool while instances go to archives: what it does not take is tried again."""

from __future__ import annotations

import asyncio
import errno
import os
from functools import partial
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import select

from gateway.clock import now
from gateway.journey.image_forwarding import removal, scratch
from gateway.operations.parked import parked_work
from gateway.pixels.pool import Pool
from gateway.store.schema import work_tries
from tests.conftest import comes_true, until
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_image_forwarding import forwarding, send, to
from tests.peers.pynetdicom_store import storage_scp


@sqlite
async def test_a_disk_without_room_for_what_is_decoded_parks_nothing(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [True]
    decoded = Pool.decoded

    async def failing(pool: Pool, source: Path, target: Path, syntax: str) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        await decoded(pool, source, target, syntax)

    monkeypatch.setattr(Pool, "decoded", failing)
    with storage_scp(syntaxes=[ExplicitVRLittleEndian]) as scp:
        async with start(**forwarding(tmp_path, to(scp.port))) as gateway:
            await send(gateway, Path(str(get_testdata_file("JPEG2000.dcm"))))
            await comes_true(lambda: gateway.store.read(lambda c: c.execute(select(work_tries)).all()))
            full.clear()
            await quiet(gateway)
            assert not (await gateway.store.read(partial(parked_work, most=9))).deliveries
    assert len(scp.data_sets) == 1


@sqlite
async def test_what_a_killed_gateway_left_goes_without_another_start(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is younger than a day when the gateway starts anew, and holds pixels of a patient."""
    monkeypatch.setattr(removal, "CLEAR_SECONDS", 0.0, raising=False)
    old, left = (tmp_path / f"{scratch.SENDING}{name}" for name in ("old", "left"))
    old.mkdir()
    os.utime(old, (0, 0))
    async with start() as gateway:
        watch = removal.ImageRemoval(gateway.store, tmp_path, 24.0, now, look_seconds=0.01)
        running = asyncio.create_task(watch.run())
        await until(lambda: not old.exists(), what="the look at the start")
        left.mkdir()
        os.utime(left, (0, 0))
        await until(lambda: not left.exists(), what="the removal of the folder")
        running.cancel()
        await asyncio.wait([running])
