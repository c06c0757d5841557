"""MLLP over real sockets: python-hl7's clients as peers, and every way in which a peer can misbehave."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import hl7.client
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Unavailable
from gateway.wire.hl7.mllp_client import MllpClient
from gateway.wire.hl7.mllp_framing import Deframer, MllpPeer, frame
from gateway.wire.hl7.mllp_incoming import MllpLimits
from gateway.wire.hl7.mllp_server import MllpServer
from gateway.wire.places import HeldPlace
from tests.conftest import until

LIMITS = MllpLimits(max_message_bytes=1_000_000, idle_seconds=10, message_seconds=10, max_connections=500)
ORDER = b"MSH|^~\\&|RIS|||||ORM^O01|1|P|2.5.1\rPID|1||42\r"


class Desk:
    """A station at the end of a connection: answers with what came, and notes everything."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.peers: list[MllpPeer] = []
        self.refused: list[tuple[bytes, str]] = []
        self.noise: list[bytes] = []

    async def answer(self, message: bytes, peer: MllpPeer) -> bytes | None:
        self.messages.append(message)
        self.peers.append(peer)
        return b"ACK " + message

    async def refuse(self, head: bytes, peer: MllpPeer, reason: str) -> bytes | None:
        self.refused.append((head, reason))
        return b"NAK " + reason.encode()

    def hear(self, peer: MllpPeer, data: bytes) -> None:
        self.noise.append(data)


@asynccontextmanager
async def serving(desk: Desk, limits: MllpLimits = LIMITS) -> AsyncIterator[MllpServer]:
    server = MllpServer(desk.answer, limits, on_noise=desk.hear, on_refused=desk.refuse)
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.stop(grace_seconds=0)
        assert server.connections == 0


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(server: MllpServer) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        async with asyncio.timeout(120):
            yield reader, writer
    finally:
        writer.transport.abort()


# --- blocks ---


def blocks(data: bytes, size: int) -> tuple[list[bytes], bytes]:
    """All blocks and all noise of a stream that comes in pieces of `size`."""
    deframer, found, noise = Deframer(), [], b""
    for start in range(0, len(data), size):
        deframer.feed(data[start : start + size])
        while (block := deframer.next()) is not None:
            found.append(block)
        noise += deframer.noise()
    if deframer.ending:
        found.append(deframer.finish())
    return found, noise


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("data", "found", "noise"),
    [
        (b"\x0ba\x1c\r\x0bb\x1c\r", [b"a", b"b"], b""),
        (b"\x0b\x1c\r", [b""], b""),
        (b"\x0ba\x1cb\x1c\x1c\r", [b"a\x1cb\x1c"], b""),
        (b"\x0ba\x1c\n\x0bb\x1c\x0bc\x1c", [b"a", b"b", b"c"], b""),
        (b"\x0ba\x0bb\x1c\r", [b"a\x0bb"], b""),
        (b"\x0ba\x1c\r\n\r\n\x0bb\x1c\r\r\n", [b"a", b"b"], b""),
        (b"xy\x0ba\x1c\rz\x1c\r\x0bb\x1c\r", [b"a", b"b"], b"xyz\x1c\r"),
        (b"\x0ba", [], b""),
    ],
)
def test_blocks(data: bytes, found: list[bytes], noise: bytes, size: int) -> None:
    heard = blocks(data, size)
    assert heard[0] == found
    assert heard[1].replace(b"\r", b"") == noise.replace(b"\r", b"")


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=6), st.integers(1, 100))
def test_what_is_framed_comes_out_as_it_was(messages: list[bytes], size: int) -> None:
    sent = [message.replace(b"\x1c", b"\x1cx") for message in messages]
    assert blocks(b"".join(map(frame, sent)), size) == (sent, b"")


# --- real peers ---


async def test_python_hl7s_command_line_client(tmp_path: Path) -> None:
    source = tmp_path / "orders.hl7"
    source.write_bytes(b"".join(frame(ORDER.replace(b"|1|P", b"|%d|P" % n)) for n in range(3)))
    desk = Desk()
    async with serving(desk) as server:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("mllp_send"),
            *("--file", source, "--port", str(server.port), "127.0.0.1"),
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()
    assert process.returncode == 0
    assert [message.split(b"|")[8] for message in desk.messages] == [b"0", b"1", b"2"]
    assert printed == b"".join(frame(b"ACK " + message) + b"\n" for message in desk.messages)


async def test_python_hl7s_client_class() -> None:
    desk = Desk()

    def converse(port: int) -> list[bytes]:
        with hl7.client.MLLPClient("127.0.0.1", port) as client:
            return [
                client.send_message(ORDER),
                client.send_message(hl7.parse(ORDER)),
                client.send(frame(b"x")),
            ]

    async with serving(desk) as server:
        answers = await asyncio.to_thread(converse, server.port)
    assert answers == [frame(b"ACK " + message) for message in (ORDER, ORDER, b"x")]
    assert desk.peers[0].host == "127.0.0.1"
    assert len({peer.port for peer in desk.peers}) == 1


# --- reading ---


async def test_pipelined_messages_are_answered_in_order_and_one_at_a_time() -> None:
    desk = Desk()
    at_work = 0

    async def answer(message: bytes, peer: MllpPeer) -> bytes:
        nonlocal at_work
        at_work += 1
        assert at_work == 1
        for _ in range(int(message) % 3):
            await asyncio.sleep(0)
        at_work -= 1
        return message

    server = MllpServer(answer, LIMITS, on_noise=desk.hear)
    await server.start("127.0.0.1", 0)
    async with connected(server) as (reader, writer):
        sent = b"".join(frame(b"%d" % n) for n in range(2000))
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent
    await server.stop(1)
    assert desk.noise == []


async def test_no_message_is_read_before_the_last_one_is_answered() -> None:
    """What a sender may push at a slow station is bounded by the sockets' buffers, not by our memory."""
    release = asyncio.Event()

    async def answer(message: bytes, peer: MllpPeer) -> bytes:
        await release.wait()
        return b"done"

    server = MllpServer(answer, LIMITS)
    await server.start("127.0.0.1", 0)
    async with connected(server) as (reader, writer):
        writer.transport.set_write_buffer_limits(0)
        writer.write(frame(b"first") + frame(b"x" * 900_000) * 20)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await writer.drain()
        release.set()
        await writer.drain()
        assert await reader.readexactly(21 * len(frame(b"done"))) == frame(b"done") * 21
    await server.stop(1)


async def test_bytes_that_come_one_by_one() -> None:
    desk = Desk()
    async with serving(desk) as server, connected(server) as (reader, writer):
        for byte in frame(b"a\x1cb") + frame(b"c"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        expected = frame(b"ACK a\x1cb") + frame(b"ACK c")
        assert await reader.readexactly(len(expected)) == expected


async def test_bytes_outside_blocks_are_skipped_and_reported() -> None:
    desk = Desk()
    async with serving(desk) as server, connected(server) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n\r\n" + frame(b"a") + b"\r\n" + frame(b"b") + b"trash" + frame(b"c"))
        expected = b"".join(frame(b"ACK " + message) for message in (b"a", b"b", b"c"))
        assert await reader.readexactly(len(expected)) == expected
    assert b"".join(desk.noise) == b"GET / HTTP/1.1\r\n\r\ntrash"


@pytest.mark.parametrize("following", [b"\n", b"\x0b", b"", b"silence"])
async def test_an_end_byte_without_its_carriage_return(following: bytes) -> None:
    desk = Desk()
    async with serving(desk) as server, connected(server) as (reader, writer):
        writer.write(b"\x0ba\x1c" + following.removeprefix(b"silence"))
        if not following:
            writer.write_eof()
        assert await reader.readexactly(8) == frame(b"ACK a")
    assert desk.refused == []


async def test_two_blocks_then_end_of_stream() -> None:
    desk = Desk()
    async with serving(desk) as server, connected(server) as (reader, writer):
        writer.write(frame(b"a") + frame(b"b"))
        writer.write_eof()
        assert await reader.read() == frame(b"ACK a") + frame(b"ACK b")


# --- limits ---


async def test_a_message_of_the_greatest_size_is_taken() -> None:
    desk = Desk()
    async with serving(desk) as server, MllpClient("127.0.0.1", server.port) as client:
        message = b"x" * LIMITS.max_message_bytes
        assert await client.send(message) == b"ACK " + message
        assert await client.send(b"y") == b"ACK y"


@pytest.mark.parametrize("size", [LIMITS.max_message_bytes + 1, 30 * LIMITS.max_message_bytes])
async def test_a_message_too_large_is_answered_and_the_connection_closed(size: int) -> None:
    desk = Desk()
    async with serving(desk) as server:

        def send() -> bytes:
            """A plain blocking sender, which does not listen before it has sent all."""
            with socket.create_connection(("127.0.0.1", server.port), timeout=60) as sock:
                sock.sendall(frame(b"x" * size))
                received = b""
                while data := sock.recv(4096):
                    received += data
                return received

        assert await asyncio.to_thread(send) == frame(b"NAK too large")
    assert desk.messages == []
    assert desk.refused == [(b"x" * 64 * 1024, "too large")]


async def test_a_truncated_message() -> None:
    desk = Desk()
    async with serving(desk) as server, connected(server) as (reader, writer):
        writer.write(frame(b"a") + b"\x0bMSH|^~")
        writer.write_eof()
        assert await reader.read() == frame(b"ACK a") + frame(b"NAK truncated")
    assert desk.refused == [(b"MSH|^~", "truncated")]


async def test_a_message_cut_by_a_reset() -> None:
    desk = Desk()
    async with serving(desk) as server, connected(server) as (reader, writer):
        writer.write(frame(b"a") + b"\x0bMSH|^~")
        assert await reader.readexactly(8) == frame(b"ACK a")
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await until(lambda: server.connections == 0)
    assert desk.refused == [(b"MSH|^~", "truncated")]


async def test_a_message_too_slow() -> None:
    desk = Desk()
    limits = MllpLimits(max_message_bytes=1000, idle_seconds=10, message_seconds=0.2, max_connections=5)
    async with serving(desk, limits) as server, connected(server) as (reader, writer):
        writer.write(frame(b"a"))
        assert await reader.readexactly(8) == frame(b"ACK a")
        writer.write(b"\x0bMSH|")
        received = asyncio.create_task(reader.read())
        await until(lambda: bool(desk.refused))
        writer.write_eof()
        assert await received == frame(b"NAK too slow")
    assert desk.refused == [(b"MSH|", "too slow")]


async def test_a_silent_connection_is_closed_and_noise_does_not_keep_it_open() -> None:
    desk = Desk()
    limits = MllpLimits(max_message_bytes=1000, idle_seconds=0.3, message_seconds=10, max_connections=5)
    async with serving(desk, limits) as server, connected(server) as (reader, writer):
        received = asyncio.create_task(reader.read())
        while not received.done():
            writer.write(b"noise")
            await asyncio.sleep(0.02)
        with suppress(ConnectionResetError):  # of noise that meets the closed connection
            assert await received == b""
    assert desk.refused == []


async def test_a_silent_connection_makes_room_for_one_that_sends() -> None:
    desk = Desk()
    limits = MllpLimits(max_message_bytes=1000, idle_seconds=3600, message_seconds=10, max_connections=2)
    async with serving(desk, limits) as server, connected(server) as (silent, _), connected(server) as (reader, writer):
        await until(lambda: server.connections == 2)
        writer.write(frame(b"a"))
        assert await reader.readexactly(8) == frame(b"ACK a")
        server.places.patience = 0.0
        async with connected(server) as (third, sending):
            sending.write(frame(b"b"))
            assert await third.readexactly(8) == frame(b"ACK b")
            assert await silent.read() == b"", "the silent connection is let go"
        writer.write(frame(b"c"))
        assert await reader.readexactly(8) == frame(b"ACK c"), "a connection that has sent stays"


async def test_connections_beyond_the_limit_are_closed_at_once() -> None:
    desk = Desk()
    limits = MllpLimits(max_message_bytes=1000, idle_seconds=10, message_seconds=10, max_connections=2)
    async with serving(desk, limits) as server:
        async with connected(server), connected(server) as (reader, writer):
            await until(lambda: server.connections == 2)
            async with connected(server) as (third, _):
                assert await third.read() == b""
            writer.write(frame(b"a"))
            assert await reader.readexactly(8) == frame(b"ACK a")
        await until(lambda: server.connections == 0)
        async with connected(server) as (reader, writer):
            writer.write(frame(b"b"))
            assert await reader.readexactly(8) == frame(b"ACK b")


async def test_one_address_leaves_connections_to_others() -> None:
    limits = MllpLimits(
        max_message_bytes=1000, idle_seconds=10, message_seconds=10, max_connections=3, max_connections_per_address=2
    )
    async with serving(Desk(), limits) as server, connected(server), connected(server):
        await until(lambda: server.connections == 2)
        async with connected(server) as (third, _):
            assert await third.read() == b""
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, local_addr=("127.0.0.2", 0))
        writer.write(frame(b"a"))
        assert await reader.readexactly(8) == frame(b"ACK a")
        writer.transport.abort()


async def test_a_sender_is_not_shut_out_by_connections_that_it_left_open() -> None:
    limits = MllpLimits(
        max_message_bytes=1000, idle_seconds=10, message_seconds=10, max_connections=3, max_connections_per_address=1
    )
    async with serving(Desk(), limits) as server, connected(server) as (left, writer):
        server.places.patience = 0
        writer.write(frame(b"a"))
        assert await left.readexactly(8) == frame(b"ACK a")
        async with connected(server) as (reader, again):
            again.write(frame(b"b"))
            assert await reader.readexactly(8) == frame(b"ACK b")
            assert await left.read() == b""


async def test_a_peer_that_never_takes_its_answers_holds_nobody_up() -> None:
    limits = MllpLimits(max_message_bytes=1_000_000, idle_seconds=10, message_seconds=0.5, max_connections=5)
    answers = 0

    async def answer(message: bytes, peer: MllpPeer) -> bytes:
        nonlocal answers
        answers += message == b"deaf"
        return b"x" * 100_000 if message == b"deaf" else b"fine"

    server = MllpServer(answer, limits)
    await server.start("127.0.0.1", 0)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(frame(b"deaf") * 1000)
        async with MllpClient("127.0.0.1", server.port) as client:
            for _ in range(50):
                assert await client.send(b"hello") == b"fine"
            await until(lambda: server.connections == 1)
    # It got what the sockets' buffers hold, some megabytes, not the hundred that it asked for.
    assert answers < 200
    await server.stop(1)


async def test_200_connections() -> None:
    desk = Desk()
    async with serving(desk) as server:
        async with asyncio.timeout(120):
            clients = [MllpClient("127.0.0.1", server.port) for _ in range(200)]
            await asyncio.gather(*(client.__aenter__() for client in clients))
            await until(lambda: server.connections == 200)
            for turn in range(3):
                sent = [b"%d/%d" % (turn, n) for n in range(200)]
                answers = await asyncio.gather(*map(MllpClient.send, clients, sent))
                assert answers == [b"ACK " + message for message in sent]
            await asyncio.gather(*map(MllpClient.close, clients))
        await until(lambda: server.connections == 0)


async def test_no_delay_on_either_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nagle's algorithm with delayed acknowledgements would cost 40 ms a message."""
    accepted: list[asyncio.StreamWriter] = []
    accept = MllpServer._accept

    def noting(self: MllpServer, place: HeldPlace, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        accept(self, place, reader, writer)

    monkeypatch.setattr(MllpServer, "_accept", noting)
    async with serving(Desk()) as server, MllpClient("127.0.0.1", server.port) as client:
        await client.send(b"a")
        assert client._streams is not None
        for writer in (accepted[0], client._streams[1]):
            assert writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# --- failing and stopping ---


async def test_a_failing_handler_closes_its_own_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(message: bytes, peer: MllpPeer) -> bytes | None:
        if message == b"none":
            return None
        if message == b"Doe^Anna":
            raise TimeoutError(f"no room for {message!r}")
        return b"fine"

    server = MllpServer(answer, LIMITS)
    await server.start("127.0.0.1", 0)
    with caplog.at_level(logging.DEBUG):
        async with connected(server) as good, connected(server) as bad, connected(server) as silent:
            bad[1].write(frame(b"Doe^Anna"))
            silent[1].write(frame(b"none"))
            assert await bad[0].read() == await silent[0].read() == b""
            good[1].write(frame(b"a"))
            assert await good[0].readexactly(7) == frame(b"fine")
    assert "TimeoutError" in caplog.text
    assert "Doe" not in caplog.text
    await server.stop(1)


async def test_a_refused_peer_that_is_gone_leaves_nothing_behind() -> None:
    """It has closed before the answer comes: the answer is met by a reset, and the end of it by no connection."""
    begun, release = asyncio.Event(), asyncio.Event()
    unhandled: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))

    async def refuse(head: bytes, peer: MllpPeer, reason: str) -> bytes:
        begun.set()
        await release.wait()
        return b"NAK"

    limits = MllpLimits(max_message_bytes=10, idle_seconds=5, message_seconds=5, max_connections=5)
    server = MllpServer(Desk().answer, limits, on_refused=refuse)
    await server.start("127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(b"\x0b" + b"x" * 20)
        await begun.wait()
    release.set()
    await until(lambda: server.connections == 0)
    await server.stop(1)
    gc.collect()
    assert unhandled == []


async def test_stop_answers_the_messages_in_work_and_no_others() -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def answer(message: bytes, peer: MllpPeer) -> bytes:
        begun.set()
        await release.wait()
        return b"ACK " + message

    server = MllpServer(answer, LIMITS)
    await server.start("127.0.0.1", 0)
    port = server.port
    async with connected(server) as (reader, writer), connected(server) as (idle, _):
        writer.write(frame(b"a") + frame(b"b"))
        await begun.wait()
        stopping = asyncio.create_task(server.stop(5))
        assert await idle.read() == b""
        assert not stopping.done()
        with pytest.raises(Unavailable):
            await MllpClient("127.0.0.1", port, timeout=60).__aenter__()
        release.set()
        assert await reader.read() == frame(b"ACK a")
        await stopping
    assert server.connections == 0


async def test_stop_does_not_wait_for_ever() -> None:
    begun = asyncio.Event()

    async def answer(message: bytes, peer: MllpPeer) -> bytes:
        begun.set()
        await asyncio.Event().wait()
        return b""

    server = MllpServer(answer, LIMITS)
    await server.start("127.0.0.1", 0)
    async with connected(server) as (reader, writer):
        writer.write(frame(b"a"))
        await begun.wait()
        await server.stop(0.1)
        assert await reader.read() == b""
    assert server.connections == 0


async def test_stop_right_after_a_connection_came() -> None:
    server = MllpServer(Desk().answer, LIMITS)
    await server.start("127.0.0.1", 0)
    async with connected(server) as (reader, _):
        await until(lambda: server.connections == 1)
        await server.stop(1)
        assert await reader.read() == b""


# --- the client ---


@asynccontextmanager
async def answering(answers: list[bytes], *, then_close: bool = False) -> AsyncIterator[int]:
    """A receiver that sends these bytes for whatever comes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            if answers:
                writer.write(answers.pop(0))
            if then_close:
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_client_skips_noise_and_the_commit_of_release_2() -> None:
    async with (
        answering([b"\r\nhello\x0b\x06\x1c\r\x0bACK\x1c\r\n", frame(b"ACK 2")]) as port,
        MllpClient("127.0.0.1", port) as client,
    ):
        assert await client.send(b"a") == b"ACK"
        assert await client.send(b"b") == b"ACK 2"


async def test_client_takes_turns() -> None:
    desk = Desk()
    async with serving(desk) as server, MllpClient("127.0.0.1", server.port) as client:
        answers = await asyncio.gather(*(client.send(b"%d" % n) for n in range(20)))
    assert answers == [b"ACK %d" % n for n in range(20)]


@pytest.mark.parametrize(
    ("answer", "then_close", "said"),
    [
        (b"", False, "timeout"),
        (b"\x0bACK", False, "timeout"),
        (b"", True, "closed"),
        (b"\x0bACK", True, "closed"),
        (b"\x0b\x15\x1c\r", False, "could not store"),
        (b"\x0b" + b"x" * 1_200_000, False, "too large"),
    ],
)
async def test_client_failures(answer: bytes, then_close: bool, said: str) -> None:
    async with (
        answering([answer], then_close=then_close) as port,
        MllpClient("127.0.0.1", port, timeout=120) as client,
    ):
        if said == "timeout":
            client._timeout = 0.3  # of the acknowledgement: to connect may take a busy machine longer
        with pytest.raises(Unavailable, match=said) as caught:
            await client.send(b"a")
        assert caught.value.place == f"127.0.0.1:{port}"
        with pytest.raises(Unavailable, match="the connection is closed"):
            await client.send(b"b")


async def test_client_without_a_server() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="no connection"):
            await MllpClient("127.0.0.1", free.getsockname()[1], timeout=60).__aenter__()
