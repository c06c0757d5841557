"""Associations: what is negotiated, how they end, how the server ends; and our own SCU."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
)

from gateway.errors import (
    Rejected,
    RequiredMissing,
    Unavailable,
)
from gateway.wire.dimse import AcceptorPolicy, DimseFailure, DimseServer, FindRequest, Peer, StoreRequest, client
from gateway.wire.dimse.server import WAITING
from tests.peers.pynetdicom_scu import rejection
from tests.wire.dimse.peers import (
    ECHO,
    HOST,
    PEER,
    accept,
    associated,
    instance,
    key,
    match,
    no_matches,
    serving,
    statuses,
    tool,
    until,
)


async def test_every_storage_class_and_transfer_syntax_is_accepted() -> None:
    classes = [build_context(one.abstract_syntax) for one in AllStoragePresentationContexts]
    offers = [classes[:100], classes[100:], [build_context(CTImageStorage, one) for one in ALL_TRANSFER_SYNTAXES]]

    def rejected(port: int, contexts: list[Any]) -> list[Any]:
        with associated(port, *contexts) as association:
            assert len(association.accepted_contexts) + len(association.rejected_contexts) == len(contexts)
            return list(association.rejected_contexts)

    async with serving() as server:
        for contexts in offers:
            assert await asyncio.to_thread(rejected, server.port, contexts) == []


async def test_explicit_vr_is_preferred() -> None:
    def chosen(port: int) -> str:
        both = build_context(CTImageStorage, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
        with associated(port, both) as association:
            return str(association.accepted_contexts[0].transfer_syntax[0])

    async with serving() as server:
        assert await asyncio.to_thread(chosen, server.port) == ExplicitVRLittleEndian


async def test_unknown_sop_classes_are_rejected_and_the_others_served() -> None:
    private = build_context("1.3.12.2.1107.5.9.1")

    def negotiate(port: int) -> tuple[list[tuple[str, int]], int]:
        query = build_context(PatientRootQueryRetrieveInformationModelFind)
        with associated(port, private, query, ECHO) as association:
            refused = [(str(one.abstract_syntax), one.result) for one in association.rejected_contexts]
            return refused, association.send_c_echo().Status

    async with serving() as server:
        refused, echoed = await asyncio.to_thread(negotiate, server.port)
        unknown = instance()
        unknown.SOPClassUID = "1.3.12.2.1107.5.9.1"
        sent = await client.store(HOST, server.port, [unknown, instance()], **PEER)
        alone = await client.store(HOST, server.port, [unknown], **PEER)
    assert refused == [
        ("1.3.12.2.1107.5.9.1", 0x03),
        (str(PatientRootQueryRetrieveInformationModelFind), 0x03),
    ]
    assert echoed == 0x0000
    assert sent == [("1.2.3.4", 0x0122), ("1.2.3.4", 0x0000)]
    assert alone == [("1.2.3.4", 0x0122)]


@pytest.mark.parametrize(
    ("options", "calling", "called", "reason"),
    [
        ({"check_called_ae": True}, "CT1", "OTHER", "called-AE-title-not-recognized"),
        ({"check_called_ae": True}, "CT1", "GATEWAY", None),
        ({}, "CT1", "OTHER", None),
        ({"peers": {"MR1": Peer()}, "others": None}, "CT1", "GATEWAY", "calling-AE-title-not-recognized"),
        ({"peers": {"MR1": Peer(), "CT1": Peer()}, "others": None}, "CT1", "GATEWAY", None),
    ],
)
async def test_ae_titles(options: dict[str, Any], calling: str, called: str, reason: str | None) -> None:
    async with serving(**options) as server:
        asked = client.echo(HOST, server.port, called_ae=called, calling_ae=calling, timeout=120)
        if reason is None:
            await asked
            return
        with pytest.raises(Rejected, match=reason) as caught:
            await asked
        assert caught.value.place == f"{called}@{HOST}:{server.port}"


async def test_the_limit_of_associations() -> None:
    def fill(port: int) -> list[bool]:
        with associated(port, ECHO) as one, associated(port, ECHO) as two, associated(port, ECHO) as three:
            return [one.is_established, two.is_established, rejection(three) is not None]

    async with serving(max_associations=2) as server:
        assert await asyncio.to_thread(fill, server.port) == [True, True, True]
        await until(lambda: server.associations == 0)
        await client.echo(HOST, server.port, **PEER)


async def test_who_meets_the_limit_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def fill(port: int) -> None:
        with associated(port, ECHO) as one, associated(port, ECHO) as two:
            assert (one.is_established, rejection(two) is not None) == (True, True)

    with caplog.at_level(logging.WARNING, "gateway"):
        async with serving(max_associations=1) as server:
            await asyncio.to_thread(fill, server.port)
            await until(lambda: bool(caplog.records))
    assert [one.getMessage() for one in caplog.records if one.name.startswith("gateway")] == [
        f"DICOM association from {HOST} refused: 1 are open"
    ]


async def test_connections_that_say_nothing_hold_no_place_and_are_closed() -> None:
    async with serving(max_associations=2, artim_seconds=1.0) as server:
        silent = [await asyncio.open_connection(HOST, server.port) for _ in range(4)]
        assert server.associations == 0
        await client.echo(HOST, server.port, **PEER)
        for reader, writer in silent:
            assert await asyncio.wait_for(reader.read(), 60) == b""
            writer.close()


async def test_many_associations_at_once() -> None:
    """24 peers, half of them waiting for a slow handler, which holds up nobody."""
    release = asyncio.Event()

    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        await release.wait()
        yield match(1)

    async with serving(find=find) as server:
        slow = [asyncio.create_task(client.find_worklist(HOST, server.port, key(), **PEER)) for _ in range(3)]
        peers = [tool("echoscu", "-aec", "GATEWAY", HOST, str(server.port)) for _ in range(21)]
        assert [code for code, _ in await asyncio.gather(*peers)] == [0] * 21
        assert not any(one.done() for one in slow)
        release.set()
        assert [len(found) for found in await asyncio.gather(*slow)] == [1, 1, 1]


async def test_small_packets_are_not_held_back() -> None:
    def option(server: DimseServer) -> int:
        with associated(server.port, ECHO):
            (association,) = server._connections
            connection: socket.socket = association.transport.get_extra_info("socket")
            return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    async with serving() as server:
        assert await asyncio.to_thread(option, server) != 0


async def test_bytes_that_are_no_pdu_end_their_connection_only() -> None:
    async with serving() as server:
        for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\x01\x00\x00\x00\x00\x04junk", b"\xff" * 64):
            reader, writer = await asyncio.open_connection(HOST, server.port)
            writer.write(junk)
            await asyncio.wait_for(reader.read(), 60)
            writer.close()
        await client.echo(HOST, server.port, **PEER)


async def test_a_silent_association_is_aborted() -> None:
    def wait_for_abort(port: int) -> bool:
        with associated(port, ECHO) as association:
            association.join(60)
            return bool(association.is_aborted)

    async with serving(idle_seconds=0.3) as server:
        assert await asyncio.to_thread(wait_for_abort, server.port)


async def test_stop_lets_work_finish_and_takes_no_more() -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def store(request: StoreRequest) -> None:
        begun.set()
        await release.wait()

    async with serving(store=store) as server:
        port = server.port
        sending = asyncio.create_task(client.store(HOST, port, [instance()], **PEER))
        await asyncio.wait_for(begun.wait(), 60)
        stopping = asyncio.create_task(server.stop(20))
        await until(lambda: not listens(port))
        assert not stopping.done()
        release.set()
        assert await sending == [("1.2.3.4", 0x0000)]
        await asyncio.wait_for(stopping, 60)
        with pytest.raises(Unavailable):
            await client.echo(HOST, port, **PEER)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


async def test_stop_aborts_what_outlasts_its_grace() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def store(request: StoreRequest) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with serving(store=store) as server:
        sending = asyncio.create_task(client.store(HOST, server.port, [instance()], **PEER))
        await asyncio.wait_for(begun.wait(), 60)
        await asyncio.wait_for(server.stop(0.1), 60)
        with pytest.raises(Unavailable):
            await sending
        assert cancelled.is_set()


async def test_stop_does_not_wait_for_idle_associations() -> None:
    def hold(port: int, established: threading.Event) -> bool:
        with associated(port, ECHO) as association:
            established.set()
            association.join(60)
            return bool(association.is_released)

    async with serving() as server:
        established = threading.Event()
        holding = asyncio.create_task(asyncio.to_thread(hold, server.port, established))
        await asyncio.to_thread(established.wait, 60)
        await asyncio.wait_for(server.stop(600), 60)
        assert await holding


async def test_a_port_in_use() -> None:
    async with serving() as server:
        second = DimseServer(policy=AcceptorPolicy("X"), find=no_matches, store=accept, implementation_uid="1.2.3")
        with pytest.raises(Unavailable, match=f"{HOST}:{server.port}"):
            await second.start(HOST, server.port)


async def test_no_patient_in_the_log(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        yield match(1, PatientName="SECRET^Response")
        unencodable = match(2)
        unencodable.add_new("PatientWeight", "US", "SECRET")
        yield unencodable

    async def store(request: StoreRequest) -> None:
        raise RuntimeError("SECRET")

    caplog.set_level(logging.DEBUG)
    logging.getLogger("pynetdicom").setLevel(logging.NOTSET)
    async with serving(find=find, store=store) as server:
        identifier = key(PatientName="SECRET^Key", PatientBirthDate="SECRET")
        assert [one.Status for one in await asyncio.to_thread(statuses, server.port, identifier)] == [
            0xFF00,
            0xC312,
        ]
        await client.store(HOST, server.port, [instance()], **PEER)
    assert "SECRET" not in caplog.text
    assert "SECRET" not in "".join(capfd.readouterr())
    assert "pynetdicom" in caplog.text


@pytest.mark.parametrize(
    ("code", "expected"), [(0xA700, Unavailable), (0xA900, Rejected), (0xC001, Rejected), (0x0122, Rejected)]
)
async def test_client_names_the_status_of_a_failed_query(code: int, expected: type[Exception]) -> None:
    async def find(request: FindRequest) -> AsyncIterator[Dataset]:
        yield match(1)
        raise DimseFailure(code, "so it is")

    async with serving(find=find) as server:
        with pytest.raises(expected, match=f"{code:04X} so it is"):
            await client.find_worklist(HOST, server.port, key(), **PEER)


async def test_client_without_a_peer() -> None:
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen()
        port = silent.getsockname()[1]
        calls: list[Awaitable[Any]] = [
            client.echo(HOST, port, called_ae="A", calling_ae="B", timeout=0.5),
            client.find_worklist(HOST, port, key(), called_ae="A", calling_ae="B", timeout=0.5),
            client.store(HOST, port, [instance()], called_ae="A", calling_ae="B", timeout=0.5),
        ]
        for call in calls:
            with pytest.raises(Unavailable, match=f"A@{HOST}:{port}"):
                await call
    with pytest.raises(Unavailable):
        await client.echo(HOST, port, called_ae="A", calling_ae="B", timeout=0.5)
    with pytest.raises(Rejected):
        await client.echo(HOST, port, called_ae="A" * 17, calling_ae="B", timeout=0.5)


async def test_client_refuses_what_cannot_be_sent(tmp_path: Path) -> None:
    (tmp_path / "text.dcm").write_text("no DICOM at all")
    async with serving() as server:
        for source, kind in (
            (tmp_path / "missing.dcm", Rejected),
            (tmp_path / "text.dcm", Rejected),
            (Dataset(), RequiredMissing),
        ):
            with pytest.raises(kind):
                await client.store(HOST, server.port, [source], **PEER)


async def test_one_address_leaves_associations_to_others() -> None:
    def fill(port: int) -> tuple[bool, Any]:
        with associated(port, ECHO) as one, associated(port, ECHO, calling="CT2") as two:
            return one.is_established, rejection(two)

    async with serving(max_associations=2, max_associations_per_address=1) as server:
        established, rejected = await asyncio.to_thread(fill, server.port)
        assert (established, rejected is not None) == (True, True)
        await until(lambda: server.associations == 0)
        await client.echo(HOST, server.port, **PEER)


async def test_connections_without_an_association_make_room_for_one_that_asks() -> None:
    """More than the server has places for are open and silent; ARTIM would hold each of them for a minute."""
    async with serving(max_associations=1, artim_seconds=60.0) as server:
        silent = [await asyncio.open_connection(HOST, server.port) for _ in range(WAITING + 1)]
        server._places.patience = 0.0
        await client.echo(HOST, server.port, **PEER)
        for _, writer in silent:
            writer.close()
