"""Refuses what is too much to be kept as a message: its beginning is kept for whoever looks for the fault."""

from __future__ import annotations

from typing import Final

from gateway.errors import GatewayError, TooManyParts
from gateway.journey.order_intake.acknowledgement import Acknowledger
from gateway.journey.order_intake.reading import Reading
from gateway.observe import metrics
from gateway.store import Store, refusals

HEAD_BYTES: Final = 64 * 1024
"""What is kept of a message of too many parts: to write all of it to disk would hold the others up."""


def too_many_parts(reading: Reading) -> TooManyParts | None:
    """Why the message was not read, if it has more parts than are read."""
    return reading.error if isinstance(reading.error, TooManyParts) else None


class Refusing:
    """The refusals of one MLLP listener."""

    def __init__(self, store: Store, acknowledger: Acknowledger, listener: str) -> None:
        self._store = store
        self._acknowledger = acknowledger
        self._listener = listener

    async def refuse(self, head: bytes, host: str, reason: str, error: GatewayError, now: int) -> bytes:
        """The negative acknowledgement. `reason`: in a word, as metric and list name it; `now`: microseconds."""
        metrics.REFUSED.labels(self._listener, reason).inc()
        source = f"{self._listener} {host}"
        await refusals.keep(self._store, "message", refused_at=now, source=source, reason=reason, body=head)
        return self._acknowledger.of(head, None, error, now).block
