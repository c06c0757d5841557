"""Instances that arrived without compression, compressed without loss for a receiver that is to store less.

The file in the spool stays as it arrived, for other receivers and until this one has confirmed what it got. Each frame
is decoded again and compared before anything is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from gateway.journey.image_forwarding.scratch import Scratch
from gateway.journey.image_forwarding.sending import Sender
from gateway.pixels.faults import NoPixels, PixelFault
from gateway.pixels.syntaxes import NATIVE
from gateway.wire.part10_file import Part10File

Compress = Callable[[Path, Path, str], Awaitable[None]]
"""Writes the instance of the first file to the second, by this method. Raises `PixelFault`."""


class Compressing:
    """By one method, which writes the transfer syntax `syntax`."""

    def __init__(self, sender: Sender, compress: Compress, method: str, syntax: str) -> None:
        self._sender = sender
        self._compress = compress
        self._method = method
        self._syntax = syntax

    async def written(self, file: Part10File, scratch: Scratch) -> tuple[Part10File | None, str]:
        """The compressed file, and None where the instance goes as it is, with the reason for people; empty: nothing
        is wrong with it. Raises what `Sender.takes` raises, and `OSError`."""
        is_native = file.transfer_syntax_uid in NATIVE
        if not is_native or not await self._sender.takes(file.sop_class_uid, self._syntax):
            return None, ""
        target = await scratch.file("compressed.dcm")
        try:
            await self._compress(file.path, target, self._method)
        except NoPixels:
            return None, ""
        except PixelFault as fault:
            return None, f"not compressed: {fault}"
        if await asyncio.to_thread(_is_smaller, target, file.path):
            return replace(file, path=target, transfer_syntax_uid=self._syntax), ""
        return None, "not compressed: it would not be smaller"


def _is_smaller(one: Path, other: Path) -> bool:
    return one.stat().st_size < other.stat().st_size
