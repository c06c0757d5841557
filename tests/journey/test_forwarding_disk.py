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

from gateway.operations.parked import parked_work
from gateway.pixels.pool import Pool
from gateway.store.schema import work_tries
from tests.journey.running import Start, quiet
from tests.journey.test_image_forwarding import forwarding, send, sqlite, to
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
            async with asyncio.timeout(20):
                while not await gateway.store.read(lambda c: c.execute(select(work_tries)).all()):
                    await asyncio.sleep(0.02)
            full.clear()
            await quiet(gateway)
            assert not (await gateway.store.read(partial(parked_work, most=9))).deliveries
    assert len(scp.data_sets) == 1
