"""DICOM over TLS, and what single AE titles may do, asked by DCMTK."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pydicom.data import get_testdata_file

from bench.ports import free_port
from gateway.config.dicom import Dicom, DicomPeer, DicomTls
from tests.journey.messages import orm
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_order_intake import send
from tests.peers.dcmtk import echoscu, findscu, storescu
from tests.peers.openssl import Authority, Issued


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def served(authority: Authority, *, mutual: bool = False, **dicom: Any) -> tuple[Dicom, int]:
    """With the port of TLS, which the configuration alone knows."""
    ours, port = authority.issue("gateway"), free_port()
    ca = authority.certificate if mutual else None
    tls = DicomTls(certificate=ours.certificate, key=ours.key, client_ca=ca, port=port)
    return Dicom(port=0, tls=tls, **dicom), port


def shows(authority: Authority, issued: Issued | None = None) -> tuple[str, ...]:
    """DCMTK's options: believe the authority, and show a certificate or none."""
    trust = ("+cf", str(authority.certificate))
    return ("+tls", str(issued.key), str(issued.certificate), *trust) if issued else ("+tla", *trust)


@sqlite
async def test_echo_worklist_and_storage_over_tls(start: Start, authority: Authority) -> None:
    dicom, port = served(authority)
    file = get_testdata_file("CT_small.dcm")
    assert isinstance(file, str)
    options = shows(authority)
    async with start(dicom=dicom) as gateway:
        await send(gateway, orm())
        assert (await echoscu(port, options=options)).returncode == 0
        assert len((await findscu(port, "AccessionNumber=ACC1", options=("-W", *options))).items) == 1
        stored = await storescu(port, Path(file), options=options)
        assert stored.returncode == 0, stored.stderr
        assert (await echoscu(gateway.dicom_port)).returncode == 0  # the other port speaks plainly
        assert (await echoscu(port)).returncode != 0
        await quiet(gateway)


@sqlite
async def test_a_client_must_show_a_certificate_of_the_authority(
    start: Start, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger").issue("ct9")
    dicom, port = served(authority, mutual=True)
    async with start(dicom=dicom):
        assert (await echoscu(port, options=shows(authority, authority.issue("ct1")))).returncode == 0
        assert (await echoscu(port, options=shows(authority, stranger))).returncode != 0
        assert (await echoscu(port, options=shows(authority))).returncode != 0


@sqlite
async def test_an_ae_title_may_be_bound_to_a_certificate(start: Start, authority: Authority) -> None:
    one, other = authority.issue("ct1"), authority.issue("ct2")
    dicom, port = served(authority, mutual=True, peers=[DicomPeer(ae_title="CT1", allowed_certificates=["ct1"])])
    async with start(dicom=dicom) as gateway:
        assert (await echoscu(port, calling_ae="CT1", options=shows(authority, one))).returncode == 0
        refused = await echoscu(port, calling_ae="CT1", options=shows(authority, other))
        assert "Calling AE Title Not Recognized" in refused.stdout + refused.stderr
        refused = await echoscu(gateway.dicom_port, calling_ae="CT1")
        assert "Calling AE Title Not Recognized" in refused.stdout + refused.stderr
        assert (await echoscu(port, calling_ae="CT2", options=shows(authority, other))).returncode == 0


@sqlite
async def test_only_tls(start: Start, authority: Authority) -> None:
    dicom, port = served(authority)
    assert dicom.tls is not None
    only = dicom.model_copy(update={"tls": dicom.tls.model_copy(update={"only": True})})
    async with start(dicom=only) as gateway:
        assert gateway.dicom_port == port
        assert (await echoscu(port, options=shows(authority))).returncode == 0


@sqlite
async def test_a_handshake_that_never_ends_holds_up_nobody(start: Start, authority: Authority) -> None:
    dicom, port = served(authority)
    async with start(dicom=dicom):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        for _, writer in silent:
            writer.write(b"\x16\x03\x01")
        assert (await echoscu(port, options=shows(authority))).returncode == 0
        for reader, writer in silent:
            assert await asyncio.wait_for(reader.read(), 60) == b""
            writer.close()


def test_certificates_cannot_be_asked_for_without_an_authority() -> None:
    with pytest.raises(ValidationError, match=r"set dicom\.tls with client_ca"):
        Dicom(peers=[DicomPeer(ae_title="CT1", allowed_certificates=["ct1"])])


@sqlite
async def test_services_and_addresses_of_an_ae_title(start: Start) -> None:
    peers = [
        DicomPeer(ae_title="STORE", services=["verification", "storage"]),
        DicomPeer(ae_title="FAR", allowed_addresses=["192.0.2.0/24"]),
        DicomPeer(ae_title="NEAR", allowed_addresses=["127.0.0.0/8"]),
    ]
    async with start(dicom=Dicom(port=0, peers=peers)) as gateway:
        refused = await findscu(gateway.dicom_port, "PatientID", calling_ae="STORE")
        assert "No Acceptable Presentation Contexts" in refused.output
        assert (await echoscu(gateway.dicom_port, calling_ae="STORE")).returncode == 0
        assert (await echoscu(gateway.dicom_port, calling_ae="FAR")).returncode != 0
        assert (await echoscu(gateway.dicom_port, calling_ae="NEAR")).returncode == 0
