"""The thread that brings files to disk outlives what fails in it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from gateway.spool import GroupSync
from tests.spool.test_spool import PATIENT, begun, files, spool_of


async def test_a_file_that_cannot_be_closed_holds_no_other(tmp_path: Path) -> None:
    spool = await asyncio.to_thread(spool_of, tmp_path)
    syncing = GroupSync(spool)
    bad, good = [await asyncio.to_thread(begun, spool, one) for one in ("1.2.3", "1.2.4")]
    os.close(bad._handle)
    bad.close()
    await asyncio.to_thread(good.write, PATIENT)
    async with asyncio.timeout(120):
        await syncing.sync(good)
    good.keep()
    good.close()
    await syncing.close()
    assert [one.name for one in await asyncio.to_thread(files, spool)] == [Path(good.name).name]
