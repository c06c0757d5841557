"""Structure checks of messages beside the journey: no message waits for them unless its sender is to be refused."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from typing import Final

from gateway.errors import GatewayError, Malformed, Place
from gateway.journey.order_intake.reading import MessageReader
from gateway.observe import metrics
from gateway.records.row_ids import MessageRow
from gateway.store import Store, messages
from gateway.value_class import value_class
from gateway.wire.hl7.message import Message
from gateway.wire.hl7.structure import LONGEST, Checker, Severity

log = logging.getLogger(__name__)

MOST_WAITING: Final = 10_000
"""Messages that wait to be checked; what comes on top is not checked, and counted."""
MOST_AT_ONCE: Final = 16
BYTES_AT_ONCE: Final = 64 * 1024
"""Of messages that are read together: a read takes the gateway half a millisecond, whatever comes of it."""


@value_class
class _Waiting:
    row: MessageRow
    version: str
    listener: str
    size: int


class Conformance:
    """`run` is a background task; the intakes hand it what they have kept."""

    def __init__(self, store: Store, reader: MessageReader) -> None:
        self._store = store
        self._reader = reader
        self._checker = Checker(yields=True)
        self._waited_for = Checker(yields=False)
        self._waiting: deque[_Waiting] = deque()
        self._woken = asyncio.Event()

    def soon(self, row: MessageRow, version: str, listener: str, size: int) -> None:
        """Check a kept message of `size` bytes when there is time, and add what is found to its findings."""
        if len(self._waiting) >= MOST_WAITING:
            metrics.CHECKS.labels(listener, "skipped").inc()
            return
        self._waiting.append(_Waiting(row, version, listener, size))
        self._woken.set()

    async def fault(self, message: Message, version: str, listener: str) -> GatewayError | None:
        """The first structural fault of a message, now. Raises `Unavailable` when the check fails."""
        if len(message.text) > LONGEST:
            return Malformed(f"longer than the {LONGEST:,} characters whose structure is checked", place=Place("MSH"))
        faults = await self._waited_for.faults(_text(message), version)
        metrics.CHECKS.labels(listener, "checked").inc()
        fault = next((finding for finding in faults if finding.severity is Severity.STRUCTURE), None)
        return Malformed(str(fault), place=fault.place) if fault is not None else None

    async def run(self) -> None:
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                while self._waiting:
                    await self._check_all(self._next())
        finally:
            await self._checker.close()
            await self._waited_for.close()

    def _next(self) -> list[_Waiting]:
        """The first that wait: one, or several that are short."""
        some = [self._waiting.popleft()]
        size = some[0].size
        while self._waiting and len(some) < MOST_AT_ONCE and size + self._waiting[0].size <= BYTES_AT_ONCE:
            some.append(self._waiting.popleft())
            size += some[-1].size
        return some

    async def _check_all(self, some: Sequence[_Waiting]) -> None:
        # Read again from the store: texts that wait would be kept in memory, and tear holes into it.
        read = asyncio.ensure_future(self._store.read(partial(messages.bodies, rows=[one.row for one in some])))
        for one in some:
            await self._check(one, read)

    async def _check(self, one: _Waiting, read: Awaitable[Mapping[MessageRow, bytes]]) -> None:
        try:
            kept = (await read).get(one.row)
            message = self._reader.message_of(kept, one.listener) if kept is not None else None
            faults = await self._checker.faults(_text(message), one.version) if message else []
            if rows := [finding.as_row() for finding in faults]:
                await self._store.write(lambda connection: messages.add_findings(connection, one.row, rows))
            metrics.CHECKS.labels(one.listener, "checked").inc()
        except Exception as error:
            metrics.CHECKS.labels(one.listener, "failed").inc()
            log.warning("message %d: structure not checked (%s)", one.row, type(error).__name__)


def _text(message: Message) -> str:
    """The message as hl7apy reads it: segments ended by CR."""
    return "".join(f"{segment.text}\r" for segment in message.segments)
