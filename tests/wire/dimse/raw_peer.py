"""A DICOM peer that sends whatever bytes a test gives it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.wire.dimse.peers import HOST

VERIFICATION = "1.2.840.10008.1.1"
WORKLIST = "1.2.840.10008.5.1.4.31"
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
APPLICATION = "1.2.840.10008.3.1.1.1"
CONTEXTS = ((1, VERIFICATION), (3, WORKLIST), (5, CT))

RELEASE_RQ = bytes.fromhex("05000000000400000000")
RELEASE_RP = bytes.fromhex("06000000000400000000")
USER_ABORT = bytes.fromhex("07000000000400000000")
UNRECOGNIZED, UNEXPECTED, INVALID = (bytes.fromhex(f"0700000000040000020{reason}") for reason in (1, 2, 6))
"""A-ABORT of the service-provider (PS3.8 9.3.8)."""


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body) if length is None else length) + body


def context(number: int, abstract: str, *syntaxes: str) -> bytes:
    names = b"".join(item(0x40, one.encode()) for one in syntaxes or (EXPLICIT,))
    return item(0x20, struct.pack(">BBBB", number, 0, 0, 0) + item(0x30, abstract.encode()) + names)


def associate_rq(
    *,
    contexts: bytes | None = None,
    version: int = 1,
    application: bytes = item(0x10, APPLICATION.encode()),
    user: bytes | None = None,
    max_bytes: int = 16384,
    called: bytes = b"GATEWAY",
    calling: bytes = b"RAW",
) -> bytes:
    if contexts is None:
        contexts = b"".join(context(*one) for one in CONTEXTS)
    if user is None:
        user = item(0x50, item(0x51, struct.pack(">I", max_bytes)) + item(0x52, b"1.2.3"))
    fixed = struct.pack(">HH", version, 0) + called.ljust(16) + calling.ljust(16) + bytes(32)
    return pdu(0x01, fixed + application + contexts + user)


def pdv(number: int, header: int, value: bytes, length: int | None = None) -> bytes:
    return struct.pack(">IBB", len(value) + 2 if length is None else length, number, header) + value


def command(**elements: bytes | int | str) -> bytes:
    """A command set by element numbers: `e0100=0x30`."""
    values = {int(name[1:], 16): _value(value) for name, value in elements.items()}
    body = b"".join(struct.pack("<HHI", 0, number, len(value)) + value for number, value in sorted(values.items()))
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _value(value: bytes | int | str) -> bytes:
    if isinstance(value, int):
        return struct.pack("<H", value)
    encoded = value.encode() if isinstance(value, str) else value
    return encoded + b"\0" * (len(encoded) % 2)


def request(field: int, sop_class: str, *, message_id: int = 1, data: bool = False, **more: bytes | int | str) -> bytes:
    data_set = 0x0001 if data else 0x0101
    return command(e0002=sop_class, e0100=field, e0110=message_id, e0700=0, e0800=data_set, **more)


def echo_rq(message_id: int = 1) -> bytes:
    return pdu(0x04, pdv(1, 0x03, request(0x0030, VERIFICATION, message_id=message_id)))


def find_rq(message_id: int = 1, identifier: bytes = b"\x10\x00\x20\x00LO\x00\x00") -> bytes:
    asked = request(0x0020, WORKLIST, message_id=message_id, data=True)
    return pdu(0x04, pdv(3, 0x03, asked)) + pdu(0x04, pdv(3, 0x02, identifier))


def cancel_rq(message_id: int) -> bytes:
    return pdu(0x04, pdv(3, 0x03, command(e0100=0x0FFF, e0120=message_id, e0800=0x0101)))


def store_rq(message_id: int = 1, sop_class: str = CT, instance: str = "1.2.3.4") -> bytes:
    return request(0x0001, sop_class, message_id=message_id, data=True, e1000=instance)


@dataclass
class RawPeer:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read(self) -> bytes:
        """The next PDU, whole; empty at the end of the connection."""
        async with asyncio.timeout(120):
            try:
                head = await self.reader.readexactly(6)
                return head + await self.reader.readexactly(struct.unpack(">I", head[2:])[0])
            except (asyncio.IncompleteReadError, ConnectionError):
                return b""

    async def rest(self) -> list[bytes]:
        """All PDUs up to the end of the connection."""
        found = []
        while one := await self.read():
            found.append(one)
        return found

    async def status(self) -> tuple[int, int]:
        """Message ID Being Responded To and Status of the next response; its data set, if it has one, is skipped."""
        elements = await self.response()
        return int.from_bytes(elements[0x0120], "little"), int.from_bytes(elements[0x0900], "little")

    async def response(self) -> dict[int, bytes]:
        """The command set of the next response, by element number; its data set, if it has one, is skipped."""
        elements = _elements((await self.read())[12:])
        if elements[0x0800] != b"\x01\x01":
            while not (await self.read())[11] & 0x02:
                pass
        return elements


def _elements(data: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at < len(data):
        _, number, length = struct.unpack_from("<HHI", data, at)
        found[number] = data[at + 8 : at + 8 + length]
        at += 8 + length
    return found


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[RawPeer]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        yield RawPeer(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def associated(port: int, **asked: int) -> AsyncIterator[RawPeer]:
    async with connected(port) as peer:
        peer.send(associate_rq(**asked))  # type: ignore[arg-type]
        assert (await peer.read())[0] == 0x02
        yield peer
