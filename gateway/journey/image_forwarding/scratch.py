"""A folder in the spool's for what is made of an instance while it is sent."""

from __future__ import annotations

import asyncio
import tempfile
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final

SENDING: Final = "sending-"
"""Begins the name of the folder."""


class Scratch:
    """Made when a file is first asked for, and removed with all files at the end of the context."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    async def file(self, name: str) -> Path:
        """The path of a file that is not there yet. Raises `OSError`."""
        if self._folder is None:
            make = partial(tempfile.TemporaryDirectory, prefix=SENDING, dir=self._spool)
            self._folder = await asyncio.to_thread(make)
        return Path(self._folder.name) / name

    async def __aenter__(self) -> Scratch:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            await asyncio.to_thread(self._folder.cleanup)
