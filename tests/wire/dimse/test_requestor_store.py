"""Files at storage SCPs: DCMTK's, Orthanc, pynetdicom's, and ours; each takes the transfer syntaxes that it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt

from bench.ports import free_port
from gateway.errors import NeedsPerson, Rejected, SyntaxNotAcceptedError, Unavailable, UnsupportedType
from gateway.wire.dimse import StoreRequest
from gateway.wire.dimse.command import HIGH
from gateway.wire.dimse.requestor_peer import RequestedPeer, Timeouts
from gateway.wire.dimse.requestor_store import StorageRequestor
from gateway.wire.part10_file import Part10File, pieces_of
from tests.peers.dcmtk import storescp
from tests.peers.orthanc import Orthanc
from tests.wire.dimse.peers import HOST, accept, instance, serving, until


def read_part10(path: Path) -> Part10File:
    meta = dcmread(path, stop_before_pixels=True).file_meta
    return Part10File(path, meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID)


CT, J2K, DEFLATED, BIG = (
    read_part10(Path(str(get_testdata_file(name))))
    for name in ("CT_small.dcm", "JPEG2000.dcm", "image_dfl.dcm", "MR_small_bigendian.dcm")
)


def requestor(port: int, called_ae: str = "ANY", **options: Any) -> StorageRequestor:
    return StorageRequestor(RequestedPeer(HOST, port, called_ae, "GATEWAY", Timeouts.of(120)), **options)


def data_set_of(path: Path) -> bytes:
    """Behind the File Meta Information; of even length."""
    raw = path.read_bytes()
    data = raw[144 + int.from_bytes(raw[140:144], "little") :]
    return data + b"\0" * (len(data) % 2)


@contextmanager
def pynetdicom_scp(respond: Callable[[evt.Event], int | Dataset], *syntaxes: str) -> Iterator[int]:
    """A storage SCP that takes CT in these transfer syntaxes; its port."""
    entity = AE()
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.2", list(syntaxes))
    server = entity.start_server((HOST, 0), block=False, evt_handlers=[(evt.EVT_C_STORE, respond)])
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


@pytest.mark.parametrize("options", [("+xa",), ("+xa", "-pdu", "4096"), ("+xa", "-pdu", "131072")])
async def test_storescp_gets_each_file_as_it_is(tmp_path: Path, options: tuple[str, ...]) -> None:
    with storescp(tmp_path, *options) as port:
        user = requestor(port)
        for file in (CT, J2K, DEFLATED, BIG, CT):
            assert (await user.store(file)).status == 0
        await user.close()
        await until(lambda: len(list(tmp_path.iterdir())) == 4)
    assert {data_set_of(path) for path in tmp_path.iterdir()} == {
        data_set_of(one.path) for one in (CT, J2K, DEFLATED, BIG)
    }


@pytest.mark.parametrize(
    ("options", "file", "accepted"),
    [
        (("+xi",), CT, (ImplicitVRLittleEndian,)),
        (("+xi",), J2K, (ImplicitVRLittleEndian,)),
        (("+xe",), J2K, (ExplicitVRLittleEndian, ImplicitVRLittleEndian)),
    ],
)
async def test_what_storescp_takes_instead_is_named(
    tmp_path: Path, options: tuple[str, ...], file: Part10File, accepted: tuple[str, ...]
) -> None:
    with storescp(tmp_path, *options) as port:
        user = requestor(port)
        with pytest.raises(SyntaxNotAcceptedError) as caught:
            await user.store(file)
        await user.close()
    assert caught.value.accepted == accepted


async def test_orthanc_keeps_what_it_gets(orthanc: Orthanc) -> None:
    user = requestor(orthanc.dicom_port, orthanc.ae_title, associations=2)
    answers = await asyncio.gather(*(user.store(file) for file in (CT, J2K, DEFLATED, CT)))
    await user.close()
    assert [one.status for one in answers] == [0, 0, 0, 0]
    assert (await orthanc.statistics()).instances == 3


async def test_pynetdicom_answers_in_words_and_is_asked_with_a_priority() -> None:
    priorities: list[int] = []

    def refuse(event: evt.Event) -> Dataset:
        priorities.append(event.request.Priority)
        answer = Dataset()
        answer.Status, answer.ErrorComment = 0xA900, "no such patient"
        return answer

    with pynetdicom_scp(refuse, ExplicitVRLittleEndian) as port:
        user = requestor(port)
        answer = await user.store(CT, priority=HIGH)
        with pytest.raises(UnsupportedType, match="the SOP Class is not accepted"):
            await user.store(BIG)
        await user.close()
    assert (str(answer), priorities) == ("C-STORE status A900 no such patient", [1])


async def test_one_association_serves_many_and_another_what_it_did_not_propose() -> None:
    came: list[int] = []

    async def take(request: StoreRequest) -> None:
        came.append(id(request.caller))

    async with serving(store=take) as server:
        user = requestor(server.port, "GATEWAY")
        for file in (CT, CT, J2K, CT, J2K):
            assert (await user.store(file)).status == 0
            assert server.associations == 1
        await user.close()
        await until(lambda: server.associations == 0)
    assert len(set(came)) == 2


async def test_a_receiver_that_ends_in_the_middle_and_comes_back(tmp_path: Path) -> None:
    port = free_port()
    user = requestor(port)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await user.store(CT)
    with storescp(tmp_path, "--refuse", port=port), pytest.raises(Rejected, match="rejected-permanent"):
        await user.store(CT)
    with storescp(tmp_path, "--abort-during", port=port), pytest.raises(Unavailable):
        await user.store(CT)
    with storescp(tmp_path, port=port):
        assert (await user.store(CT)).status == 0
        await user.close()


async def test_a_file_that_is_gone_costs_no_other(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"no preamble" * 20)
    async with serving(store=accept) as server:
        user = requestor(server.port, "GATEWAY")
        with pytest.raises(NeedsPerson, match="cannot be read"):
            await user.store(replace(CT, path=tmp_path / "gone"))
        with pytest.raises(NeedsPerson, match="not a file in the DICOM File Format"):
            await user.store(replace(CT, path=tmp_path / "text"))
        assert (await user.store(CT)).status == 0
        await user.close()


async def test_a_long_data_set_comes_in_pieces(tmp_path: Path) -> None:
    made = instance()
    made.PixelData = bytes(3_000_001)
    made["PixelData"].VR = "OB"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.save_as(tmp_path / "long.dcm", enforce_file_format=True)
    lengths = [len(piece) async for piece in pieces_of(tmp_path / "long.dcm")]
    assert (max(lengths), sum(lengths)) == (1024 * 1024, len(data_set_of(tmp_path / "long.dcm")))
