"""The association requestor against peers that behave, and one that does whatever a test says."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from gateway.errors import Rejected, Unavailable
from gateway.wire.dimse import client
from gateway.wire.dimse import requestor_operations as operations
from gateway.wire.dimse.requestor import associated
from gateway.wire.dimse.requestor_operations import MPPS, MPPS_RETRIEVE, VERIFICATION, proposals
from gateway.wire.dimse.requestor_peer import RequestedPeer, Timeouts
from gateway.wire.dimse.requestor_reuse import Requestor
from gateway.wire.tls import client_context, server_context
from tests.journey.worklist_files import item as worklist_item
from tests.journey.worklist_files import write
from tests.peers.dcmtk import storescp, wlmscpfs
from tests.peers.openssl import Authority
from tests.peers.orthanc import Orthanc
from tests.peers.pynetdicom_mpps import mpps_scp
from tests.wire.dimse.peers import HOST, PEER, accept, instance, key, serving, until
from tests.wire.dimse.raw_peer import EXPLICIT, RELEASE_RP, USER_ABORT, RawPeer, command, item, pdu, pdv

Script = Callable[[RawPeer], Awaitable[None]]
REQUEST = proposals(VERIFICATION)


def associate_ac(*, max_bytes: int = 16384, result: int = 0, number: int = 1) -> bytes:
    context = item(0x21, bytes((number, 0, result, 0)) + item(0x40, EXPLICIT.encode()))
    user = item(0x50, item(0x51, struct.pack(">I", max_bytes)) + item(0x52, b"1.2.3") + item(0x99, b"unknown"))
    return pdu(0x02, struct.pack(">HH", 1, 0) + bytes(64) + item(0x10, b"1.2.840.10008.3.1.1.1") + context + user)


def echo_rsp(message_id: int = 1, field: int = 0x8030) -> bytes:
    return pdu(0x04, pdv(1, 0x03, command(e0100=field, e0120=message_id, e0800=0x0101, e0900=0)))


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that plays `script` on each connection; its port, and the PDUs that came after the script."""
    rest: list[bytes] = []
    ends: list[asyncio.Event] = []

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer, over = RawPeer(reader, writer), asyncio.Event()
        ends.append(over)
        try:
            await script(peer)
            rest.extend(await peer.rest())
        finally:
            writer.close()
            over.set()

    server = await asyncio.start_server(play, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], rest
    await asyncio.gather(*(one.wait() for one in ends))


def peer_at(port: int, associate: float = 120.0, response: float = 120.0) -> RequestedPeer:
    return RequestedPeer(HOST, port, "RUDE", "GATEWAY", Timeouts(120.0, associate, response, 0.3))


SILENCES = {"no A-ASSOCIATE response within": (0.5, 120.0), "no C-ECHO response within": (120.0, 0.5)}
"""How long each is waited for."""


async def echo(peer: RequestedPeer) -> operations.Response:
    async with associated(peer, REQUEST) as association:
        return await operations.echo(association)


def answers(*data: bytes, close: bool = False) -> Script:
    """Answers each PDU that comes with the next of `data`; then closes, or is silent."""

    async def play(peer: RawPeer) -> None:
        for one in data:
            await peer.read()
            peer.send(one)
        if close:
            peer.writer.close()

    return play


@pytest.mark.parametrize(
    ("pdus", "kind", "words"),
    [
        (
            [bytes.fromhex("03000000000400010107")],
            Rejected,
            "rejected-permanent by the DICOM UL service-user: called-AE",
        ),
        (
            [bytes.fromhex("03000000000400020302")],
            Unavailable,
            "rejected-transient .*Presentation.* local-limit",
        ),
        ([bytes.fromhex("03000000000400010202")], Rejected, "ACSE related function.*protocol-version-not-supported"),
        ([bytes.fromhex("07000000000400000202")], Unavailable, "service-provider: unexpected-PDU"),
        ([USER_ABORT], Unavailable, "aborted by the DICOM UL service-user"),
        ([pdu(0x42, b"what")], Unavailable, "against the protocol: PDU type 42"),
        ([RELEASE_RP], Unavailable, "a PDU out of place"),
        ([associate_ac()[:-30]], Unavailable, "no A-ASSOCIATE response within"),
        ([associate_ac(max_bytes=7)], Unavailable, "leaves no room for data"),
        ([associate_ac(result=3)], Rejected, "none of the SOP classes"),
        ([associate_ac(number=9)], Rejected, "none of the SOP classes"),
        ([associate_ac()], Unavailable, "no C-ECHO response within"),
        ([associate_ac(), USER_ABORT], Unavailable, "aborted by the DICOM UL service-user"),
        ([associate_ac(), echo_rsp(7)], Unavailable, "no response to the C-ECHO that waits"),
        ([associate_ac(), echo_rsp(field=0x8001)], Unavailable, "no response to the C-ECHO that waits"),
        ([associate_ac(), pdu(0x04, pdv(5, 0x03, b""))], Unavailable, "presentation context 5 has not been accepted"),
        ([associate_ac(), pdu(0x04, b"")], Unavailable, "against the protocol"),
        ([associate_ac(), bytes.fromhex("05000000000400000000")], Unavailable, "released by the peer"),
    ],
)
async def test_errors_name_who_refuses_and_why(pdus: list[bytes], kind: type[Exception], words: str) -> None:
    async with scripted(answers(*pdus)) as (port, _):
        with pytest.raises(kind, match=words) as caught:
            await echo(peer_at(port, *SILENCES.get(words, ())))
        assert f"RUDE@{HOST}:{port}" in str(caught.value)


@pytest.mark.parametrize("pdus", [[b""], [associate_ac()], [associate_ac(), echo_rsp()[:20]]])
async def test_a_peer_that_closes_in_the_middle(pdus: list[bytes]) -> None:
    async with scripted(answers(*pdus, close=True)) as (port, _):
        with pytest.raises(Unavailable, match="the connection was closed"):
            await echo(peer_at(port))


async def test_silence_and_cancellation_end_with_an_abort() -> None:
    asked = asyncio.Event()

    async def play(peer: RawPeer) -> None:
        await answers(associate_ac(), b"")(peer)
        asked.set()

    async with scripted(play) as (port, rest):
        asking = asyncio.create_task(echo(peer_at(port)))
        await asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await until(lambda: bool(rest))
    assert rest == [USER_ABORT]


async def test_a_response_in_many_pieces_and_a_release_that_nobody_answers() -> None:
    async def play(peer: RawPeer) -> None:
        await peer.read()
        peer.send(associate_ac())
        await peer.read()
        for byte in echo_rsp():
            peer.send(bytes((byte,)))
            await peer.writer.drain()

    async with scripted(play) as (port, rest):
        assert (await echo(peer_at(port))).status == 0
        await until(lambda: len(rest) == 2)
    assert [one[0] for one in rest] == [0x05, 0x07]


async def test_a_tiny_maximum_length_is_kept() -> None:
    lengths: list[int] = []

    async def play(peer: RawPeer) -> None:
        await peer.read()
        peer.send(associate_ac(max_bytes=8))
        last = 0
        while not last & 0x02:
            one = await peer.read()
            lengths.append(len(one) - 6)
            last = one[11]
        peer.send(echo_rsp())

    async with scripted(play) as (port, _):
        assert (await echo(peer_at(port))).status == 0
    assert set(lengths) == {8}


async def test_one_association_serves_many_and_is_released_when_idle() -> None:
    async with serving() as server:
        requestor = Requestor(RequestedPeer(HOST, server.port, "GATEWAY", "CT1"), REQUEST, idle_seconds=0.2)
        for _ in range(3):
            async with requestor.association() as association:
                assert (await operations.echo(association)).status == 0
            assert server.associations == 1
        await until(lambda: server.associations == 0)
        async with requestor.association() as association:
            assert (await operations.echo(association)).status == 0
        await server.stop(0)
        with pytest.raises(Unavailable):
            async with requestor.association() as association:
                await operations.echo(association)
        await requestor.close()


async def test_a_large_file_is_streamed(tmp_path: Path) -> None:
    made = instance()
    made.Rows = made.Columns = 2000
    made.BitsAllocated, made.SamplesPerPixel = 16, 1
    made.PixelData = bytes(8_000_000)
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = made.SOPClassUID, UID("1.2.3.4")
    made.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    made.save_as(tmp_path / "large.dcm", enforce_file_format=True)
    async with serving(store=accept) as server:
        assert await client.store(HOST, server.port, [tmp_path / "large.dcm"], **PEER) == [("1.2.3.4", 0)]


async def test_storescp_of_dcmtk(tmp_path: Path) -> None:
    with storescp(tmp_path) as port:
        to: dict[str, Any] = {"called_ae": "STORESCP", "calling_ae": "GATEWAY", "timeout": 120.0}
        await client.echo(HOST, port, **to)
        assert await client.store(HOST, port, [instance()] * 3, **to) == [("1.2.3.4", 0)] * 3
        await until(lambda: any(tmp_path.iterdir()))
    [file] = tmp_path.iterdir()
    assert dcmread(file).PatientName == "Probe^Anna"


async def test_wlmscpfs_of_dcmtk(tmp_path: Path) -> None:
    write(tmp_path, worklist_item(1))
    with wlmscpfs(map(dcmread, tmp_path.glob("*.wl"))) as port:
        keys = key(AccessionNumber="")
        matches = await client.find_worklist(HOST, port, keys, called_ae="WORKLIST", calling_ae="GW", timeout=120)
    assert [one.AccessionNumber for one in matches] == ["W1"]


async def test_orthanc(orthanc: Orthanc) -> None:
    to: dict[str, Any] = {"called_ae": orthanc.ae_title, "calling_ae": "GATEWAY", "timeout": 120.0}
    await client.echo(HOST, orthanc.dicom_port, **to)
    sent = instance()
    sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.PatientID = "1.2.3", "1.2.3.1", "P1"
    assert await client.store(HOST, orthanc.dicom_port, [sent], **to) == [("1.2.3.4", 0)]
    assert (await orthanc.statistics()).instances == 1


async def test_performed_steps_at_pynetdicom() -> None:
    begun = Dataset()
    begun.PatientName, begun.PerformedProcedureStepStatus = "Probe^Anna", "IN PROGRESS"
    ended = Dataset()
    ended.PerformedProcedureStepStatus = "COMPLETED"
    with mpps_scp() as scp:
        async with associated(
            RequestedPeer(HOST, scp.port, "PACS", "GATEWAY"), proposals(MPPS, MPPS_RETRIEVE)
        ) as association:
            answers = [
                await operations.create(association, MPPS, "1.2.3", begun),
                await operations.create(association, MPPS, "1.2.3", begun),
                await operations.set_(association, MPPS, "1.2.3", ended),
                await operations.set_(association, MPPS, "1.2.4", ended),
                await operations.get(association, MPPS_RETRIEVE, "1.2.3"),
            ]
    assert [one.status for one in answers] == [0x0000, 0x0111, 0x0000, 0x0112, 0x0000]
    kept = answers[-1].dataset
    assert kept is not None
    assert (kept.PatientName, kept.PerformedProcedureStepStatus) == ("Probe^Anna", "COMPLETED")


async def test_tls_with_a_certificate_of_ours(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    theirs, ours = authority.issue("pacs"), authority.issue("gateway")
    server_side = server_context(theirs.certificate, theirs.key, None, authority.certificate)
    shown = client_context(authority.certificate, ours.certificate, ours.key, None)
    withheld = client_context(authority.certificate, None, None, None)
    stranger = client_context(None, ours.certificate, ours.key, None)
    async with serving() as server:
        port = await server.start(HOST, 0, server_side)
        for context, is_served in ((shown, True), (withheld, False), (stranger, False)):
            peer = RequestedPeer(HOST, port, "GATEWAY", "CT1", Timeouts.of(120), context)
            if is_served:
                assert (await echo(peer)).status == 0
            else:
                with pytest.raises(Unavailable, match=f"GATEWAY@{HOST}:{port}"):
                    await echo(peer)
