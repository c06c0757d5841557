"""The messages of one MLLP connection, read from its blocks one at a time and held to limits of length and time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.wire.hl7.mllp import COMMIT, NEGATIVE_COMMIT
from gateway.wire.hl7.mllp_framing import CHUNK_BYTES, Deframer
from gateway.wire.patience import Patience
from gateway.wire.places import HeldPlace, Phase

_TRAILER_SECONDS: Final = 2.0
"""How long an end byte may wait for its CR; a sender that leaves it out is then taken to be done."""

_HEAD_BYTES: Final = 64 * 1024
"""What is handed on of a message that is too large: enough to see whose it is."""


@dataclass(frozen=True)
class MllpLimits:
    max_message_bytes: int
    idle_seconds: float
    """Between two messages."""
    message_seconds: float
    """From the first to the last byte of a message, and for taking its answer."""
    max_connections: int
    max_connections_per_address: int | None = None
    """None: as many as in all."""


class RefusedError(Exception):
    """A message that is not taken: `head`, what came of it, and `reason`: "too large", "truncated" or "too slow"."""

    def __init__(self, head: bytes, reason: str) -> None:
        super().__init__(reason)
        self.head = head
        self.reason = reason


class IncomingMessages:
    """What one connection sends. `on_noise` takes bytes that stood outside blocks and were skipped."""

    def __init__(
        self,
        limits: MllpLimits,
        reader: asyncio.StreamReader,
        place: HeldPlace,
        patience: Patience,
        on_noise: Callable[[bytes], None],
    ) -> None:
        self._limits = limits
        self._reader = reader
        self._place = place
        self._patience = patience
        self._on_noise = on_noise
        self._deframer = Deframer()

    async def next(self) -> bytes | None:
        """The next message; None when the peer has closed or has been silent for too long. Raises `RefusedError`."""
        limits, deframer = self._limits, self._deframer
        clock = asyncio.get_running_loop().time
        silent_at, late_at, begun = clock() + limits.idle_seconds, 0.0, False
        while True:
            message = deframer.next()
            if noise := deframer.noise():
                self._on_noise(noise)
            if message in (COMMIT, NEGATIVE_COMMIT):
                # Release 2: the sender confirms an answer of ours.
                begun = False
                continue
            if message is not None:
                return self._within_limit(message)
            if len(deframer) > limits.max_message_bytes:
                raise RefusedError(deframer.head(_HEAD_BYTES), "too large")
            if deframer.inside and not begun:
                begun, late_at = True, clock() + limits.message_seconds
                self._place.stand(Phase.WORKING)
            until = min(late_at if begun else silent_at, clock() + _TRAILER_SECONDS if deframer.ending else math.inf)
            try:
                data = await self._patience.wait(self._reader.read(CHUNK_BYTES), until)
            except TimeoutError:
                return self._broken_off("too slow")
            except ConnectionError:
                data = b""
            if not data:
                return self._broken_off("truncated")
            deframer.feed(data)

    def _within_limit(self, message: bytes) -> bytes:
        if len(message) > self._limits.max_message_bytes:
            raise RefusedError(message[:_HEAD_BYTES], "too large")
        return message

    def _broken_off(self, reason: str) -> bytes | None:
        if self._deframer.ending:
            return self._within_limit(self._deframer.finish())
        if self._deframer.inside:
            raise RefusedError(self._deframer.head(self._limits.max_message_bytes), reason)
        return None
