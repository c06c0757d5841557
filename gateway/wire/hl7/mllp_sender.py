"""A few MLLP connections to one receiver, kept open and made anew when they are lost; one message at a time on each."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from gateway.errors import Malformed, Unavailable
from gateway.wire.hl7.answers import ReceivedAcknowledgement, read_answer
from gateway.wire.hl7.mllp_client import MllpClient


class MllpSender:
    """Sends messages to `host`:`port`, on at most `connections` at a time; `timeout`: seconds for connecting and for
    each acknowledgement. What waits for a connection is served in the order in which it came."""

    def __init__(
        self, host: str, port: int, *, timeout: float, connections: int = 1, tls: ssl.SSLContext | None = None
    ) -> None:
        self._place = f"{host}:{port}"
        self._timeout = timeout
        self._idle = [MllpClient(host, port, timeout=timeout, tls=tls) for _ in range(connections)]
        self._clients = tuple(self._idle)
        self._free = asyncio.Semaphore(connections)

    async def close(self) -> None:
        for client in self._clients:
            await client.close()

    async def send(
        self, raw: bytes, control_id: str, *, confirm: Callable[[], Awaitable[None]] | None = None
    ) -> ReceivedAcknowledgement:
        """The acknowledgement of a message, whose MSH-10 is `control_id`.

        `confirm` is awaited right before the message goes out, when it has its connection; what it raises is raised.

        An acknowledgement of another message is not this one's: it is passed over. Raises `Unavailable` when none came,
        and when what came could not be read; the receiver may have the message all the same.
        """
        async with self._free:
            client, answered = self._idle.pop(), False
            try:
                await client.open()
                if confirm is not None:
                    await confirm()
                answer = self._read(await client.send(raw))
                if answer.control_id != control_id:
                    answer = await self._later(client, control_id, answer)
                answered = True
                return answer
            finally:
                if not answered:
                    # What comes late must not be taken for the answer to the next message.
                    await client.close()
                self._idle.append(client)

    async def _later(
        self, client: MllpClient, control_id: str, answer: ReceivedAcknowledgement
    ) -> ReceivedAcknowledgement:
        """The acknowledgement of a message behind those of others."""
        others: list[str] = []
        try:
            async with asyncio.timeout(self._timeout):
                while answer.control_id != control_id:
                    others.append(answer.control_id or "(none)")
                    answer = self._read(await client.receive())
        except (TimeoutError, Unavailable) as error:
            named = f"{control_id} was not acknowledged, but {', '.join(others[:3])}"
            raise Unavailable(named, place=self._place) from error
        return answer

    def _read(self, block: bytes) -> ReceivedAcknowledgement:
        try:
            return read_answer(block)
        except Malformed as error:
            raise Unavailable(f"the acknowledgement cannot be read: {error}", place=self._place) from error
