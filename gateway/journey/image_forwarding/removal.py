"""Takes files out of the spool that every destination has confirmed, some time later."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from gateway.clock import Clock
from gateway.journey.image_forwarding.scratch import SENDING
from gateway.store import Store, image_forwards

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
SHARE: Final = 0.05
"""Of the time, at most: where an archive is away, many files are looked at for nothing."""
PAGE: Final = 200
"""Files that are looked at, and removed, in one transaction: others must not wait long for the writer."""
HOUR: Final = 3600 * 1_000_000
CLEAR_SECONDS: Final = 3600.0
LEFT_SECONDS: Final = 24 * 3600.0
"""So old nobody sends from it any more."""


class ImageRemoval:
    """`run` never ends. A file whose work waits or is parked stays, and one that nobody has confirmed."""

    def __init__(
        self, store: Store, folder: Path, keep_hours: float, clock: Clock, *, look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._store = store
        self._folder = folder
        self._keep = round(keep_hours * HOUR)
        self._clock = clock
        self._look_seconds = look_seconds

    async def run(self) -> None:
        """Look now and then. Raises `Unavailable`."""
        cleared_at = -CLEAR_SECONDS
        while True:
            begun = time.perf_counter()
            if begun - cleared_at >= CLEAR_SECONDS:
                cleared_at = begun
                await asyncio.to_thread(self._clear)
            if number := await self.remove():
                log.info("%d files left the spool: every destination has them", number)
            await asyncio.sleep(max(self._look_seconds, (time.perf_counter() - begun) / SHARE))

    def _clear(self) -> None:
        """Remove what a gateway left that was killed while it sent instances otherwise than they came."""
        for folder in self._folder.glob(f"{SENDING}*"):
            with suppress(OSError):  # another gateway's, which is done with it by now
                if time.time() - folder.stat().st_mtime > LEFT_SECONDS:
                    shutil.rmtree(folder)

    async def remove(self) -> int:
        """Look at every file once; returns how many are removed."""
        number, after = 0, 0
        while True:
            before = self._clock() - self._keep
            look = partial(image_forwards.confirmed_behind, before=before, after=after, limit=PAGE)
            last, confirmed = await self._store.read(look)
            if confirmed:
                remove = partial(image_forwards.remove_confirmed, rows=confirmed, before=before, now=self._clock())
                number += await self._store.write(remove)
            if last is None:
                return number
            after = last
