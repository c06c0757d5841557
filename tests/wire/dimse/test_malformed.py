"""What is wrong in an association, and what comes back; the next association works every time."""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import os
import socket
import struct
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from gateway.wire.dimse import DimseServer, EncodedMatch, FindRequest, Peer, StoreRequest, client
from gateway.wire.dimse.data_set import MEMORY_BYTES
from gateway.wire.dimse.message import Assembler
from gateway.wire.dimse.pdu import Fragment
from tests.wire.dimse import raw_peer as raw
from tests.wire.dimse.peers import HOST, PEER, match, serving, until
from tests.wire.dimse.raw_peer import CT, INVALID, UNRECOGNIZED, USER_ABORT, VERIFICATION, WORKLIST, RawPeer

ACCEPTED = 0x02
FOUR_GB = 0xFFFFFFFF


@pytest.fixture(autouse=True)
def short_farewells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DimseServer, "farewell_seconds", 0.1)


async def still_serves(server: DimseServer) -> None:
    await client.echo(HOST, server.port, **PEER)
    await until(lambda: not server._connections)
    assert server.associations == 0


def data(*values: bytes) -> bytes:
    return raw.pdu(0x04, b"".join(values))


ECHO = raw.request(0x0030, VERIFICATION)

WITHIN_AN_ASSOCIATION: list[tuple[str, bytes, bytes]] = [
    ("a type nobody knows", raw.pdu(0x08, b"1234"), UNRECOGNIZED),
    ("a type nobody knows, of 4 GB", raw.pdu(0xFF, b"", FOUR_GB), UNRECOGNIZED),
    ("a P-DATA-TF of 4 GB", raw.pdu(0x04, b"", FOUR_GB), INVALID),
    ("a P-DATA-TF longer than what it was told", raw.pdu(0x04, b"", 131073), INVALID),
    ("an empty P-DATA-TF", raw.pdu(0x04, b""), INVALID),
    ("a release of 5 bytes", raw.pdu(0x05, bytes(5)), INVALID),
    ("a release of no bytes", raw.pdu(0x05, b""), INVALID),
    ("an abort of 4 GB", raw.pdu(0x07, b"", FOUR_GB), INVALID),
    ("a release response of 3 bytes", raw.pdu(0x06, bytes(3)), INVALID),
    ("a rejection of 3 bytes", raw.pdu(0x03, bytes(3)), INVALID),
    ("an abort of no bytes", raw.pdu(0x07, b""), INVALID),
    ("an association of 2 MB", raw.pdu(0x01, b"", 2 * 1024 * 1024), INVALID),
    ("a value of length 0", data(raw.pdv(1, 3, b"", 0)), INVALID),
    ("a value of length 1", data(struct.pack(">IB", 1, 1)), INVALID),
    ("a value of 4 GB", data(raw.pdv(1, 3, ECHO, FOUR_GB)), INVALID),
    ("a value beyond its PDU", data(raw.pdv(1, 3, ECHO, len(ECHO) + 3)), INVALID),
    ("a value that is cut off", data(raw.pdv(1, 3, ECHO), b"\0\0\0"), INVALID),
    ("a context that was never offered", data(raw.pdv(99, 3, ECHO)), INVALID),
    ("a context of an even number", data(raw.pdv(2, 3, ECHO)), INVALID),
    ("a data set before its command", data(raw.pdv(3, 2, b"1234")), USER_ABORT),
    ("a command where a data set should be", data(raw.pdv(3, 3, raw.request(0x20, WORKLIST, data=True)),
                                                  raw.pdv(3, 3, ECHO)), USER_ABORT),
    ("a data set of another context", data(raw.pdv(3, 3, raw.request(0x20, WORKLIST, data=True)),
                                           raw.pdv(5, 2, b"")), USER_ABORT),
    ("half a command set", data(raw.pdv(1, 3, ECHO[:30])), USER_ABORT),
    ("a command set that does not end", data(raw.pdv(1, 1, bytes(70_000))), USER_ABORT),
    ("a command set of 70 kB in one value", data(raw.pdv(1, 3, raw.request(0x30, VERIFICATION, e0902=bytes(70_000)))),
     USER_ABORT),
    ("a wrong group behind a good one", data(raw.pdv(1, 3, ECHO + struct.pack("<HHI", 8, 5, 0))), USER_ABORT),
    ("an element longer than its command set", data(raw.pdv(1, 3, struct.pack("<HHI", 0, 2, FOUR_GB))), USER_ABORT),
    ("no command", data(raw.pdv(1, 3, b"")), USER_ABORT),
    ("no Command Field", data(raw.pdv(1, 3, raw.command(e0110=1, e0800=0x0101))), USER_ABORT),
    ("no Message ID", data(raw.pdv(1, 3, raw.command(e0100=0x30, e0800=0x0101))), USER_ABORT),
    ("a Message ID of four bytes", data(raw.pdv(1, 3, raw.command(e0100=0x30, e0110=b"1234", e0800=0x0101))),
     USER_ABORT),
    ("no Command Data Set Type", data(raw.pdv(1, 3, raw.command(e0100=0x30, e0110=1))), USER_ABORT),
    ("a UID of other letters", data(raw.pdv(1, 3, raw.command(e0002=b"\xff\xff", e0100=0x30, e0110=1,
                                                              e0800=0x0101))), USER_ABORT),
    ("a group that is no command", data(raw.pdv(1, 3, struct.pack("<HHI", 8, 5, 0))), USER_ABORT),
    ("a response that nobody waits for", data(raw.pdv(1, 3, raw.command(e0100=0x8030, e0110=1, e0800=0x0101))),
     USER_ABORT),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "back"), [row[1:] for row in WITHIN_AN_ASSOCIATION], ids=[row[0] for row in WITHIN_AN_ASSOCIATION]
)
async def test_within_an_association(sent: bytes, back: bytes) -> None:
    async with serving() as server:
        async with raw.associated(server.port) as peer:
            peer.send(sent)
            assert await peer.read() == back
            assert await peer.rest() == []
        await still_serves(server)


def rejected(result: int, source: int, reason: int) -> bytes:
    return raw.pdu(0x03, bytes([0, result, source, reason]))


USER = raw.item(0x50, raw.item(0x51, struct.pack(">I", 16384)) + raw.item(0x52, b"1.2.3"))
ODD_NAMES = (b"A\\B", b"A\nB", b"A\x1b(B", b"", bytes(16))
REQUESTS: list[tuple[str, bytes, bytes | int]] = [
    ("nothing but its fixed part", raw.associate_rq(application=b"", contexts=b"", user=b""), rejected(1, 1, 2)),
    ("cut off in its fixed part", raw.pdu(0x01, bytes(40)), USER_ABORT),
    ("no bytes at all", raw.pdu(0x01, b""), USER_ABORT),
    ("an association of 4 GB", raw.pdu(0x01, b"", FOUR_GB), USER_ABORT),
    ("a length that ends within an item", raw.pdu(0x01, raw.associate_rq()[6:-3]), USER_ABORT),
    ("data before an association", raw.echo_rq(), USER_ABORT),
    ("data of 4 GB before an association", raw.pdu(0x04, b"", FOUR_GB), USER_ABORT),
    ("a type nobody knows", raw.pdu(0x00, b"1234"), USER_ABORT),
    ("another protocol version", raw.associate_rq(version=2), rejected(1, 2, 2)),
    ("this version and a later one", raw.associate_rq(version=3), ACCEPTED),
    ("another application context", raw.associate_rq(application=raw.item(0x10, b"1.2.3")), rejected(1, 1, 2)),
    ("a context of an even number", raw.associate_rq(contexts=raw.context(2, VERIFICATION)), INVALID),
    ("a context of number 0", raw.associate_rq(contexts=raw.context(0, VERIFICATION)), INVALID),
    ("two contexts of one number", raw.associate_rq(contexts=raw.context(1, CT) + raw.context(1, WORKLIST)), INVALID),
    ("129 contexts", raw.associate_rq(contexts=b"".join(raw.context(n % 256, CT) for n in range(1, 258, 2))), INVALID),
    ("a sub-item nobody knows in a context", raw.associate_rq(contexts=raw.item(0x20, b"\1\0\0\0" + raw.item(
        0x99, b"?") + raw.context(1, VERIFICATION)[8:])), ACCEPTED),
    ("an item nobody knows between the others", raw.associate_rq(contexts=raw.item(0x99, b"?") + raw.context(
        1, VERIFICATION)), ACCEPTED),
    ("items nobody knows", raw.associate_rq(user=raw.item(0x77, b"x" * 9) + USER[:4][:2] + struct.pack(
        ">H", len(USER) - 4 + 8) + USER[4:] + raw.item(0x66, b"1234")), ACCEPTED),
    ("an item that is cut off", raw.associate_rq(user=USER[:-2]), INVALID),
    ("an item of 64 kB that is not there", raw.associate_rq(user=struct.pack(">BBH", 0x50, 0, 0xFFFF)), INVALID),
    ("128 contexts", raw.associate_rq(contexts=b"".join(raw.context(n, CT) for n in range(1, 256, 2))), ACCEPTED),
    ("one class in two contexts", raw.associate_rq(contexts=raw.context(1, CT) + raw.context(
        3, CT, "1.2.840.10008.1.2")), ACCEPTED),
    ("a context without a transfer syntax", raw.associate_rq(contexts=raw.item(0x20, b"\1\0\0\0" + raw.item(
        0x30, CT.encode()))), INVALID),
    ("a context without an abstract syntax", raw.associate_rq(contexts=raw.item(0x20, b"\1\0\0\0" + raw.item(
        0x40, raw.EXPLICIT.encode()))), INVALID),
    ("no context that is served", raw.associate_rq(contexts=raw.context(1, "1.2.3.4")), ACCEPTED),
    *[(f"a maximum length of {n}", raw.associate_rq(max_bytes=n), rejected(1, 1, 1)) for n in range(1, 8)],
    ("a maximum length of 8", raw.associate_rq(max_bytes=8), ACCEPTED),
    ("a maximum length of 0, which is none", raw.associate_rq(max_bytes=0), ACCEPTED),
    *[(f"a caller named {name!r}", raw.associate_rq(calling=name), INVALID) for name in ODD_NAMES],
    *[(f"a callee named {name!r}", raw.associate_rq(called=name), INVALID) for name in ODD_NAMES],
    ("a name padded with NUL", raw.associate_rq(calling=b"CT1" + bytes(13)), ACCEPTED),
    ("a callee padded with NUL", raw.associate_rq(called=b"GATEWAY" + bytes(9)), ACCEPTED),
    ("a version name of 20 letters", raw.associate_rq(user=USER[:2] + struct.pack(">H", len(USER) - 4 + 24) + USER[
        4:] + raw.item(0x55, b"V" * 20)), ACCEPTED),
    ("a name of 16 letters behind a blank", raw.associate_rq(calling=b" " + b"X" * 15), ACCEPTED),
    ("a name of other letters", raw.associate_rq(calling=b"\xc4RZTE"), INVALID),
    ("a name in lower case with a blank", raw.associate_rq(calling=b"ct one"), ACCEPTED),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "back"), [row[1:] for row in REQUESTS], ids=[row[0] for row in REQUESTS])
async def test_requests_for_an_association(sent: bytes, back: bytes | int) -> None:
    # Of a request that cannot be read Sta2 makes an A-ABORT of the service-user (AA-1).
    back = USER_ABORT if back == INVALID else back
    async with serving() as server:
        async with raw.connected(server.port) as peer:
            peer.send(sent)
            got = await peer.read()
            assert got[0] == back if isinstance(back, int) else got == back
            peer.writer.write_eof()
            assert await peer.rest() == []
        await still_serves(server)


async def results(*contexts: bytes) -> dict[int, tuple[int, bytes]]:
    """By context: the result, and the transfer syntax of an accepted one."""
    async with serving() as server, raw.connected(server.port) as peer:
        peer.send(raw.associate_rq(contexts=b"".join(contexts)))
        accepted, at, found = await peer.read(), 74, {}
        while at < len(accepted):
            length = int.from_bytes(accepted[at + 2 : at + 4], "big")
            value = accepted[at + 4 : at + 4 + length]
            if accepted[at] == 0x21:
                found[value[0]] = (value[2], value[8:] if value[2] == 0 else b"")
            at += 4 + length
    return found


async def test_what_becomes_of_each_context() -> None:
    implicit = "1.2.840.10008.1.2"
    given = await results(
        raw.context(1, CT),
        raw.context(7, CT, implicit),
        raw.context(3, "1.2.3.4"),
        raw.context(255, VERIFICATION, "1.2.840.10008.1.2.4.50"),
        raw.context(9, WORKLIST, implicit, "1.2.3.4.5", raw.EXPLICIT),
        raw.context(11, CT, "1.2.840.10008.1.2.1.98"),
        raw.context(13, "1.2.840.10008.5.1.4.1.1.5"),
    )
    explicit = raw.EXPLICIT.encode()
    assert given == {1: (0, explicit), 7: (0, implicit.encode()), 3: (3, b""), 255: (4, b""), 9: (0, explicit)} | {
        11: (0, b"1.2.840.10008.1.2.1.98"), 13: (0, explicit),
    }  # fmt: skip
    many = await results(*[raw.context(n, CT) for n in range(1, 256, 2)])
    assert many == dict.fromkeys(range(1, 256, 2), (0, explicit))


@pytest.mark.parametrize("refused", [raw.context(7, "1.2.3.4"), raw.context(7, VERIFICATION, "1.2.3.4")])
async def test_data_on_a_context_that_was_refused(refused: bytes) -> None:
    async with serving() as server:
        async with raw.connected(server.port) as peer:
            peer.send(raw.associate_rq(contexts=raw.context(1, VERIFICATION) + refused))
            assert (await peer.read())[0] == ACCEPTED
            assert await statuses(peer, raw.echo_rq(1)) == [(1, 0)]
            peer.send(data(raw.pdv(7, 3, ECHO)))
            assert await peer.rest() == [INVALID]
        await still_serves(server)


def anonymous_bytes() -> int:
    """Of this process, without what it has mapped of files."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("only Linux tells")
    line = next(line for line in status.read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


async def statuses(peer: RawPeer, *sent: bytes, wanted: int | None = None) -> list[tuple[int, int]]:
    for one in sent:
        peer.send(one)
    return [await peer.status() for _ in range(len(sent) if wanted is None else wanted)]


async def test_requests_that_do_not_fit_their_context() -> None:
    async with serving() as server, raw.associated(server.port) as peer:
        on_worklist = data(raw.pdv(3, 3, raw.store_rq()), raw.pdv(3, 2, b""))
        other_class = data(raw.pdv(5, 3, raw.store_rq(sop_class="1.2.840.10008.5.1.4.1.1.4")), raw.pdv(5, 2, b""))
        found_on_ct = data(raw.pdv(5, 3, raw.request(0x0020, WORKLIST, data=True)), raw.pdv(5, 2, b""))
        unknown = data(raw.pdv(1, 3, raw.request(0x0140, VERIFICATION)))
        with_data = data(raw.pdv(1, 3, raw.request(0x0030, VERIFICATION, data=True)), raw.pdv(1, 2, b"1234"))
        sent = on_worklist, other_class, found_on_ct, unknown, with_data, raw.echo_rq(4)
        assert await statuses(peer, *sent) == [
            (1, 0x0211), (1, 0x0122), (1, 0x0211), (1, 0x0211), (1, 0x0000), (4, 0x0000),
        ]  # fmt: skip


async def test_messages_in_every_packing() -> None:
    stored: list[bytes] = []

    async def store(request: StoreRequest) -> None:
        stored.append(bytes(request.data))

    value = bytes(range(250))
    asked = raw.store_rq()
    bytewise = b"".join(data(raw.pdv(5, 1, asked[n : n + 1])) for n in range(len(asked) - 1))
    bytewise += data(raw.pdv(5, 3, asked[-1:]))
    bytewise += b"".join(data(raw.pdv(5, 0, value[n : n + 1])) for n in range(250)) + data(raw.pdv(5, 2, b""))
    in_one = data(
        raw.pdv(5, 1, asked[:20]), raw.pdv(5, 3, asked[20:]), raw.pdv(5, 0, value[:7]), raw.pdv(5, 2, value[7:])
    )
    async with serving(store=store) as server, raw.associated(server.port) as peer:
        assert await statuses(peer, bytewise, in_one) == [(1, 0), (1, 0)]
        # Two at once, although one at a time was agreed: both are answered, in their order.
        peer.send(raw.echo_rq(1) + in_one + raw.echo_rq(2) + raw.echo_rq(3))
        assert [await peer.status() for _ in range(4)] == [(1, 0), (1, 0), (2, 0), (3, 0)]
        for n in range(0, len(in_one), 3):  # no segment ends where a PDU does
            peer.send(in_one[n : n + 3])
            await asyncio.sleep(0)
        assert await peer.status() == (1, 0)
    assert stored == [value] * 4


async def test_answers_fit_the_peer() -> None:
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        yield match(1, PatientName="X" * 60)

    async with serving(find=find) as server, raw.associated(server.port, max_bytes=16) as peer:
        peer.send(raw.find_rq())
        got, last = b"", 0
        while last < 3:  # the command and the data set of the match, the command of the end
            one = await peer.read()
            assert len(one) - 6 <= 16
            got, last = got + one[12:], last + bool(one[11] & 2)
        assert b"X" * 60 in got


async def test_cancels_that_come_when_they_like() -> None:
    never = [True]

    async def find(request: FindRequest) -> AsyncIterator[EncodedMatch]:
        if never:
            await asyncio.Event().wait()
        yield EncodedMatch(b"")

    async with serving(find=find) as server, raw.associated(server.port) as peer:
        peer.send(raw.find_rq(5) + raw.cancel_rq(5) + raw.cancel_rq(5))  # in one segment
        assert await peer.status() == (5, 0xFE00)
        never.clear()
        peer.send(raw.cancel_rq(5) + raw.find_rq(6) + raw.cancel_rq(99))
        assert [await peer.status(), await peer.status()] == [(6, 0xFF00), (6, 0x0000)]
        peer.send(raw.cancel_rq(6) + raw.echo_rq(7))
        assert await peer.status() == (7, 0)


async def test_a_peer_that_does_not_read_is_not_written_for() -> None:
    produced = 0

    async def find(request: FindRequest) -> AsyncIterator[EncodedMatch]:
        nonlocal produced
        for _ in range(100_000):
            produced += 1
            yield EncodedMatch(bytes(1000))

    before = anonymous_bytes()
    async with serving(find=find, idle_seconds=1.0) as server:
        async with raw.associated(server.port) as peer:
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            peer.send(raw.find_rq() + raw.echo_rq(2))
            await until(lambda: not server._connections)  # aborted: nothing moves
            assert produced < 20_000
            assert anonymous_bytes() - before < 40_000_000  # the peer's part, in this process too, among them
        await still_serves(server)


async def test_a_peer_that_reads_late_is_answered_in_full() -> None:
    async def find(request: FindRequest) -> AsyncIterator[EncodedMatch]:
        for _ in range(5000):
            yield EncodedMatch(bytes(1000))

    async with serving(find=find) as server, raw.associated(server.port) as peer:
        (association,) = server._connections
        # The kernel would let the peer's buffer grow until it holds all answers, and nobody would have to wait.
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        for first in (1, 11):
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            peer.send(raw.find_rq(first) + raw.echo_rq(first + 1) + raw.echo_rq(first + 2))
            await until(lambda: not association._may_write.is_set())
            peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
            answers = [await peer.status() for _ in range(5003)]
            assert answers[:5000] == [(first, 0xFF00)] * 5000
            assert answers[5000:] == [(first, 0), (first + 1, 0), (first + 2, 0)]


async def test_a_long_data_set_waits_in_a_file() -> None:
    kept: list[Any] = []
    grown: list[int] = []
    before = anonymous_bytes()

    async def store(request: StoreRequest) -> None:
        grown.append(anonymous_bytes() - before)
        kept.append((type(request.data), len(request.data), hashlib.sha256(request.data).digest()))

    block, sent = os.urandom(16_000), hashlib.sha256()
    count = 32 * MEMORY_BYTES // len(block)
    async with serving(store=store) as server, raw.associated(server.port) as peer:
        peer.send(data(raw.pdv(5, 3, raw.store_rq())))
        for _ in range(count):
            peer.send(data(raw.pdv(5, 0, block)))
            sent.update(block)
            block = block[1:] + block[:1]
            await peer.writer.drain()
        peer.send(data(raw.pdv(5, 2, b"tail")))
        sent.update(b"tail")
        assert await peer.status() == (1, 0)
    assert kept == [(mmap.mmap, count * len(block) + 4, sent.digest())]
    assert grown[0] < 8 * MEMORY_BYTES  # of 32


@pytest.mark.parametrize("lost", ["too long", "no room"])
async def test_a_data_set_that_cannot_be_kept_is_refused_and_the_association_lives(
    lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"max_data_set_bytes": 1_000_000} if lost == "too long" else {}
    if lost == "no room":
        monkeypatch.setattr("tempfile.tempdir", "/dev/full")
    async with serving(**options) as server, raw.associated(server.port) as peer:
        peer.send(data(raw.pdv(5, 3, raw.store_rq())))
        for _ in range(3 * MEMORY_BYTES // 100_000):
            peer.send(data(raw.pdv(5, 0, bytes(100_000))))
            await peer.writer.drain()
        peer.send(data(raw.pdv(5, 2, b"")))
        assert await peer.status() == (1, 0xA700)
        assert await statuses(peer, raw.echo_rq(2)) == [(2, 0)]


NUMBER = 20_000


@pytest.mark.parametrize("value", [b"", b"ab"])
def test_a_data_set_in_crumbs_takes_no_more_memory_than_its_bytes(value: bytes) -> None:
    assembler = Assembler(1_000_000)
    assembler.add(Fragment(5, 3, memoryview(raw.store_rq())))
    tracemalloc.start()
    try:
        for _ in range(NUMBER):
            assembler.add(Fragment(5, 0, memoryview(value)))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * NUMBER * len(value) + 10_000
    message = assembler.add(Fragment(5, 2, memoryview(b"z")))
    assert message is not None
    assert message.data_set == value * NUMBER + b"z"


async def test_a_data_set_that_a_thread_still_reads_does_not_hold_up_its_association() -> None:
    views: list[memoryview] = []

    async def store(request: StoreRequest) -> None:
        views.append(memoryview(request.data))

    async with serving(store=store) as server, raw.associated(server.port) as peer:
        sent = data(raw.pdv(5, 3, raw.store_rq()))
        sent += data(raw.pdv(5, 0, bytes(100_000))) * (2 * MEMORY_BYTES // 100_000) + data(raw.pdv(5, 2, b""))
        assert await statuses(peer, sent, raw.echo_rq(2)) == [(1, 0), (2, 0)]
        assert bytes(views[0][:4]) == bytes(4)  # what is still looked at stays
        views[0].release()


async def test_a_peer_that_vanishes_with_requests_in_waiting_is_noticed() -> None:
    cancelled = asyncio.Event()

    async def find(request: FindRequest) -> AsyncIterator[EncodedMatch]:
        try:
            await asyncio.Event().wait()
            yield EncodedMatch(b"")
        finally:
            cancelled.set()

    async with serving(find=find) as server:
        async with raw.associated(server.port) as peer:
            (association,) = server._connections
            peer.send(raw.find_rq(1) + raw.echo_rq(2) + raw.echo_rq(3))
            await until(lambda: not association._has_room)
            peer.writer.transport.abort()
            await asyncio.wait_for(cancelled.wait(), 60)
        await still_serves(server)


async def test_a_connection_that_is_closed_on_one_side() -> None:
    async with serving() as server:
        async with raw.associated(server.port) as peer:
            peer.writer.write_eof()
            assert await peer.rest() == []
        await still_serves(server)


async def test_a_request_that_comes_too_slowly() -> None:
    async with serving(artim_seconds=0.3) as server:
        async with raw.connected(server.port) as peer:
            peer.send(raw.associate_rq()[:100])
            assert await peer.rest() == []
        await still_serves(server)


async def test_user_identity() -> None:
    def asks(kind: int, user: bytes, passcode: bytes, *, wants_answer: bool = False) -> bytes:
        fields = struct.pack(">H", len(user)) + user + struct.pack(">H", len(passcode)) + passcode
        identity = raw.item(0x58, bytes([kind, wants_answer]) + fields)
        inner = raw.item(0x51, struct.pack(">I", 16384)) + raw.item(0x52, b"1.2.3") + identity
        return raw.associate_rq(user=raw.item(0x50, inner))

    rows = [
        (raw.associate_rq(), False),
        (asks(1, b"ann", b""), False),
        (asks(2, b"ann", b"wrong"), False),
        (asks(3, b"ann", b"s3cret"), False),
        (asks(2, b"ann", b"s3cret"), True),
        (asks(2, b"ann", b"s3cret", wants_answer=True), True),
    ]
    async with serving(peers={"RAW": Peer(user="ann", passcode="s3cret")}) as server:
        for sent, admitted in rows:
            async with raw.connected(server.port) as peer:
                peer.send(sent)
                got = await peer.read()
                assert (got[0] == ACCEPTED) is admitted
                assert got == rejected(1, 1, 1) or admitted
        assert raw.item(0x59, b"\0\0") in got  # the last one wanted to be told


async def test_extended_negotiation_of_the_worklist() -> None:
    fuzzy: list[bool] = []

    async def find(request: FindRequest) -> AsyncIterator[EncodedMatch]:
        fuzzy.append(request.fuzzy)
        for one in list[EncodedMatch]():
            yield one

    def offer(information: bytes) -> bytes:
        uid = WORKLIST.encode()
        item = raw.item(0x56, struct.pack(">H", len(uid)) + uid + information)
        window = raw.item(0x53, struct.pack(">HH", 8, 8))
        roles = raw.item(0x54, struct.pack(">H", len(CT)) + CT.encode() + b"\x01\x01")
        inner = raw.item(0x51, struct.pack(">I", 0)) + raw.item(0x52, b"1.2.3") + item + window + roles
        return raw.associate_rq(user=raw.item(0x50, inner))

    async with serving(find=find) as server:
        for offered, agreed in ((b"\1\1\1\1", b"\1\1\1\0"), (b"\1\1\0", b"\1\1\0"), (b"\1", b"\1")):
            async with raw.connected(server.port) as peer:
                peer.send(offer(offered))
                accepted = await peer.read()
                uid = WORKLIST.encode()
                assert raw.item(0x56, struct.pack(">H", len(uid)) + uid + agreed) in accepted
                assert raw.item(0x53, struct.pack(">HH", 1, 1)) in accepted
                assert raw.item(0x54, struct.pack(">H", len(CT)) + CT.encode() + b"\x01\x00") in accepted
                peer.send(raw.find_rq())
                assert await peer.status() == (1, 0)
    assert fuzzy == [True, False, False]


CONVERSATION = (
    raw.associate_rq() + raw.echo_rq(1) + raw.find_rq(2) + raw.cancel_rq(2)
    + data(raw.pdv(5, 3, raw.store_rq(3)), raw.pdv(5, 2, b"\x08\x00\x18\x00UI\x04\x001.2\0")) + raw.RELEASE_RQ
)  # fmt: skip


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    made = bytearray(CONVERSATION)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(made) - 1))
        kind = draw(st.sampled_from(("set", "cut", "insert", "repeat")))
        if kind == "set":
            made[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del made[at : at + draw(st.integers(1, 40))]
        elif kind == "insert":
            made[at:at] = draw(st.binary(min_size=1, max_size=12))
        else:
            made[at:at] = made[at : at + draw(st.integers(1, 120))]
        if not made:
            break
    return bytes(made)


def test_conversations_that_are_mutilated() -> None:
    async def check(sent: bytes) -> None:
        async with serving(artim_seconds=0.05, idle_seconds=0.1) as server:
            server.farewell_seconds = 0.05
            async with raw.connected(server.port) as peer:
                peer.send(sent)
                for one in await peer.rest():
                    assert one[0] in (0x02, 0x03, 0x04, 0x06, 0x07)
            await until(lambda: not server._connections)
            # Whoever sends what is right is not to be outrun by a busy machine.
            server.artim_seconds = server.idle_seconds = 10
            async with raw.associated(server.port) as peer:
                assert await statuses(peer, raw.echo_rq(1)) == [(1, 0)]

    @settings(suppress_health_check=list(HealthCheck))
    @given(mutilated())
    def run(sent: bytes) -> None:
        asyncio.run(check(sent))

    run()
