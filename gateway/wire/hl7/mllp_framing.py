"""MLLP framing (HL7 transport specification, MLLP release 1 and 2): blocks in a stream of bytes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.wire.hl7.mllp import CR, END, LF, START

CHUNK_BYTES = 64 * 1024


def frame(data: bytes) -> bytes:
    return b"\x0b" + data + b"\x1c\x0d"


class Deframer:
    """Finds the blocks in a stream of bytes; holds what has not been taken yet.

    An end byte counts when CR, LF or the next start byte follows; alone it is data, which some senders have.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._noise = bytearray()
        self.inside = False
        """A block has begun and not ended."""

    def __len__(self) -> int:
        return len(self._buffer) - self.ending

    @property
    def ending(self) -> bool:
        """The last byte held is an end byte, and what follows will tell whether it is one."""
        return self.inside and self._buffer.endswith(b"\x1c")

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> bytes | None:
        """The next whole block, or None until more has been fed."""
        buffer = self._buffer
        if not buffer:
            return None
        if not self.inside:
            start = buffer.find(START)
            self._noise += buffer[: start if start >= 0 else len(buffer)]
            del buffer[: start + 1 if start >= 0 else len(buffer)]
            if start < 0:
                return None
            self.inside, self._searched = True, 0
        while (end := buffer.find(END, self._searched)) >= 0 and end + 1 < len(buffer):
            following = buffer[end + 1]
            if following in (CR, LF, START):
                return self._take(end, end + (1 if following == START else 2))
            self._searched = end + 1
        self._searched = len(buffer) if end < 0 else end
        return None

    def finish(self) -> bytes:
        """The block whose end byte is the last that came."""
        return self._take(len(self), len(self._buffer))

    def head(self, length: int) -> bytes:
        """The beginning of the block that is not complete."""
        return bytes(self._buffer[:length])

    def noise(self) -> bytes:
        """The bytes outside blocks since the last call; line ends, which many senders add, do not count."""
        if not self._noise:
            return b""
        noise = bytes(self._noise)
        self._noise.clear()
        return noise if noise.strip(b"\r\n") else b""

    def _take(self, end: int, after: int) -> bytes:
        with memoryview(self._buffer) as held:  # copied once
            block = bytes(held[:end])
        del self._buffer[:after]
        self.inside, self._searched = False, 0
        return block


@dataclass(frozen=True)
class MllpPeer:
    """Who is at the other end."""

    host: str
    port: int
    certificate_names: tuple[str, ...] = ()
    """Common name and DNS names of the client certificate that TLS has verified."""


def reason_of(error: BaseException) -> str:
    return "timeout" if isinstance(error, TimeoutError) else str(error) or type(error).__name__


def refusal_of(error: BaseException) -> str:
    """What went wrong in a handshake; OpenSSL's texts hold nothing that the peer sent."""
    return getattr(error, "reason", None) or str(error) or type(error).__name__


def peer_of(writer: asyncio.StreamWriter) -> MllpPeer:
    address = writer.get_extra_info("peername") or ("", 0)
    return MllpPeer(address[0], address[1])


async def close(writer: asyncio.StreamWriter) -> None:
    """Close within a second, whether the peer takes what is still to be sent or not."""
    writer.close()
    try:
        async with asyncio.timeout(1.0):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
