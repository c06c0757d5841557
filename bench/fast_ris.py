"""A RIS that answers AA at once, in a process of its own: prints its port, then how long N messages took.

`python -m bench.fast_ris N`."""

from __future__ import annotations

import asyncio
import sys
import time

_ANSWER = b"\x0bMSH|^~\\&|RIS|HOSP|GATEWAY|HOSP|20260123120000||ACK|1|P|2.3.1\rMSA|AA|%b\r\x1c\r"


class Counter:
    """The messages of all connections."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._seen: set[bytes] = set()
        self._begun = 0.0

    def note(self, control_id: bytes) -> None:
        self._begun = self._begun or time.perf_counter()
        before = len(self._seen)
        self._seen.add(control_id)
        if before < len(self._seen) == self._wanted:
            print(f"{self._wanted} in {time.perf_counter() - self._begun:.4f} s", flush=True)


class Connection(asyncio.Protocol):
    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        *messages, self._buffer = (self._buffer + data).split(b"\x1c\r")
        for message in messages:
            control_id = message.split(b"|", 10)[9]
            self._transport.write(_ANSWER % control_id)
            self._counter.note(control_id)


async def main(wanted: int) -> None:
    counter = Counter(wanted)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(counter), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()  # until it is ended


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
