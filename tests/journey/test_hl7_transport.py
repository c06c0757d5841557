"""Who an HL7 listener lets in, and in which ways it answers."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.assembly import process as app
from gateway.assembly.orders import access_of
from gateway.config.hl7 import Hl7, Listener, ListenerTls, SenderSource
from gateway.errors import ConfigError, Unavailable
from gateway.store import messages, refusals
from gateway.wire.hl7.mllp_client import MllpClient
from gateway.wire.hl7.mllp_framing import frame
from gateway.wire.hl7.parsing import parse
from tests.journey.messages import adt, orm
from tests.journey.running import Start, config_of, sqlite
from tests.journey.test_order_intake import told
from tests.peers.dcmtk import findscu
from tests.peers.openssl import Authority, s_client


def listening(**listener: Any) -> Hl7:
    return Hl7(listeners=[Listener(**({"port": 0, "conformance": "off"} | listener))])


async def metric(gateway: app.Running, name: str, **labels: str) -> float:
    """A counter as Prometheus would read it; 0 when it has not been counted yet."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{gateway.http_port}/metrics") as got:
        text = await got.text()
    wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
    found = re.search(rf"^{name}\{{{re.escape(wanted)}\}} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def refused(gateway: app.Running, reason: str) -> float:
    return await metric(gateway, "gateway_hl7_refused_total", listener="ris", reason=reason)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def tls_of(authority: Authority, *, mutual: bool) -> ListenerTls:
    ours = authority.issue("gateway")
    return ListenerTls(certificate=ours.certificate, key=ours.key, client_ca=authority.certificate if mutual else None)


PHI = ("MUSTER", "PAT1", "19800102")


def without_phi(caplog: pytest.LogCaptureFixture) -> str:
    assert not [word for word in PHI if word in caplog.text]
    return caplog.text


# --- TLS, as OpenSSL sees it ---


@sqlite
async def test_an_order_over_tls(start: Start, authority: Authority, tmp_path: Path) -> None:
    async with start(hl7=listening(tls=tls_of(authority, mutual=False))) as gateway:
        trusting = ("-CAfile", authority.certificate, "-verify_return_error", "-verify_hostname", "localhost")
        answer = await s_client(gateway.hl7_ports["ris"], orm(), *trusting)
        assert b"MSA|AA|MSG1" in answer
        found = await findscu(gateway.dicom_port, "PatientID")
        assert [item.PatientID for item in found.items] == ["PAT1"]


@sqlite
async def test_old_tls_is_refused(
    start: Start, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with start(hl7=listening(tls=tls_of(authority, mutual=False))) as gateway:
        before = await refused(gateway, "tls")
        old = await s_client(gateway.hl7_ports["ris"], orm(), "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        assert b"MSA" not in old
        assert await refused(gateway, "tls") == before + 1
    assert "connection from 127.0.0.1 refused (tls)" in without_phi(caplog)


@sqlite
async def test_a_client_without_a_certificate_is_refused(
    start: Start, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with start(hl7=listening(tls=tls_of(authority, mutual=True))) as gateway:
        before = await refused(gateway, "tls")
        answer = await s_client(gateway.hl7_ports["ris"], orm())
        assert b"MSA" not in answer
        assert await refused(gateway, "tls") == before + 1
        assert await gateway.store.read(messages.listing) == []
    assert "refused (tls): PEER_DID_NOT_RETURN_A_CERTIFICATE" in without_phi(caplog)


@sqlite
async def test_a_certificate_of_another_authority_is_refused(
    start: Start, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Authority(tmp_path, "stranger").issue("intruder")
    async with start(hl7=listening(tls=tls_of(authority, mutual=True))) as gateway:
        before = await refused(gateway, "tls")
        shown = ("-cert", stranger.certificate, "-key", stranger.key)
        answer = await s_client(gateway.hl7_ports["ris"], orm(), *shown)
        assert b"MSA" not in answer
        assert await refused(gateway, "tls") == before + 1
    assert "refused (tls): CERTIFICATE_VERIFY_FAILED" in without_phi(caplog)


@sqlite
async def test_only_listed_certificates_are_let_in(
    start: Start, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ris, other = authority.issue("ris.hospital"), authority.issue("archive.hospital")
    door = {"tls": tls_of(authority, mutual=True), "allowed_certificates": ["ris.hospital"]}
    async with start(hl7=listening(**door)) as gateway:
        before, port = await refused(gateway, "certificate"), gateway.hl7_ports["ris"]
        listed = await s_client(port, orm(), "-cert", ris.certificate, "-key", ris.key)
        assert b"MSA|AA|MSG1" in listed
        unlisted = await s_client(port, orm(), "-cert", other.certificate, "-key", other.key)
        assert b"MSA" not in unlisted
        assert await refused(gateway, "certificate") == before + 1
    assert "refused (certificate): its certificate names nobody on the list" in without_phi(caplog)


@sqlite
async def test_plain_text_at_a_tls_port_is_refused(
    start: Start, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with start(hl7=listening(tls=tls_of(authority, mutual=False))) as gateway:
        before = await refused(gateway, "tls")
        with pytest.raises(Unavailable):
            async with MllpClient("127.0.0.1", gateway.hl7_ports["ris"], timeout=120) as client:
                await client.send(orm())
        assert await refused(gateway, "tls") == before + 1
    without_phi(caplog)


async def test_many_at_once_over_tls(start: Start, authority: Authority) -> None:
    """The first bytes of each client come before its handshake is asked for."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    async with start(hl7=listening(tls=tls_of(authority, mutual=False))) as gateway:

        async def one(number: int) -> bytes:
            async with MllpClient("localhost", gateway.hl7_ports["ris"], tls=context) as client:
                numbers = {"placer": f"P{number}", "filler": f"F{number}", "accession": f"A{number}"}
                return await client.send(orm(control_id=f"C{number}", study_uid="", **numbers))

        answers = await asyncio.gather(*(one(number) for number in range(30)))
        assert all(b"MSA|AA|" in answer for answer in answers)


def test_a_key_that_does_not_belong_to_its_certificate_stops_the_start(authority: Authority) -> None:
    one, other = authority.issue("one"), authority.issue("other")
    listener = Listener(tls=ListenerTls(certificate=one.certificate, key=other.key))
    with pytest.raises(
        ConfigError, match=r"hl7.listeners ris: tls.certificate: .* cannot be used \(KEY_VALUES_MISMATCH"
    ):
        access_of(listener)


def test_a_locked_key_needs_its_password(authority: Authority) -> None:
    ours = authority.issue("gateway", password="s3cret")
    access_of(Listener(tls=ListenerTls(certificate=ours.certificate, key=ours.key, key_password="s3cret")))
    with pytest.raises(ConfigError, match=r"tls\.certificate"):
        access_of(Listener(tls=ListenerTls(certificate=ours.certificate, key=ours.key)))


# --- addresses and senders ---


@sqlite
async def test_an_address_that_is_not_listed_is_refused(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    async with start(hl7=listening(allowed_addresses=["10.1.0.0/16", "::1"])) as gateway:
        before = await refused(gateway, "address")
        with pytest.raises(Unavailable):
            async with MllpClient("127.0.0.1", gateway.hl7_ports["ris"], timeout=120) as client:
                await client.send(orm())
        assert await refused(gateway, "address") == before + 1
    assert "connection from 127.0.0.1 refused (address)" in without_phi(caplog)


@sqlite
async def test_a_listed_network_is_let_in(start: Start) -> None:
    async with start(hl7=listening(allowed_addresses=["127.0.0.0/8"])) as gateway:
        assert codes(await conversation(gateway.hl7_ports["ris"], orm(), blocks=1)) == ["AA"]


@sqlite
async def test_a_sender_that_is_not_listed_is_refused(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    sources = [SenderSource(application="RIS", facility="HOSP"), SenderSource(application="ADT")]
    async with start(hl7=listening(sources=sources)) as gateway:
        before = await refused(gateway, "sender")
        async with MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as client:
            assert told(parse(await client.send(orm())))[0] == "AA"
            assert told(parse(await client.send(adt("A08"))))[0] == "AA"
            ack = await client.send(orm(control_id="2").replace(b"|RIS|HOSP|", b"|RIS|ELSEWHERE|"))
        assert told(parse(ack)) == ("AR", "103", "MSH^1^3")
        assert await refused(gateway, "sender") == before + 1
        rows = await gateway.store.read(messages.listing)
        assert [row["state"] for row in rows] == ["rejected", "applied", "applied"]
        assert (rows[0]["type"], rows[0]["control_id"]) == ("ORM^O01", "2"), "for whoever looks what was refused"
        [garbage] = await conversation(gateway.hl7_ports["ris"], b"garbage", blocks=1)
        assert b"no MSH segment" in garbage
    assert "its sender is not on the list" in without_phi(caplog)


@sqlite
async def test_each_source_is_read_in_its_own_way(start: Start) -> None:
    """One sender lies about its character set, one sends types that are of no use, one is to send orders only."""
    sources = [
        SenderSource(application="LIAR", override_charset="8859/2"),
        SenderSource(application="CHATTY", unserved_types="store"),
        SenderSource(application="STRICT", message_types=["ORM"]),
    ]
    async with start(hl7=listening(sources=sources)) as gateway:
        async with MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as client:
            lying = orm(charset="8859/1", name="X^Y").replace(b"X^Y", "Łoś^Żaneta".encode("iso8859-2"))
            assert b"MSA|AA|" in await client.send(lying.replace(b"|RIS|", b"|LIAR|", 1))
            useless = orm(control_id="2").replace(b"|RIS|", b"|CHATTY|", 1).replace(b"ORM^O01", b"MDM^T02")
            assert b"MSA|AA|" in await client.send(useless)
            forbidden = adt("A08", control_id="3").replace(b"|ADT|", b"|STRICT|", 1)
            assert told(parse(await client.send(forbidden)))[:2] == ("AR", "200")
        found = await findscu(gateway.dicom_port, "PatientName")
        assert [str(item.PatientName) for item in found.items] == ["Łoś^Żaneta"]
        rows = await gateway.store.read(messages.listing)
        assert [row["state"] for row in rows] == ["rejected", "stored", "applied"]
        assert rows[1]["findings"][0]["text"].startswith("kept only")


@sqlite
async def test_undecodable_bytes_are_replaced_where_a_site_wants_it(start: Start) -> None:
    broken = orm(charset="UNICODE UTF-8", name="MÜLLER^X").replace("Ü".encode(), b"\xdc")
    async with start(hl7=listening()) as gateway, MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as client:
        assert told(parse(await client.send(broken)))[2] == "PID^1^5"
    async with start(hl7=listening(undecodable="replace")) as gateway:
        async with MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as client:
            assert b"MSA|AA|" in await client.send(broken.replace(b"MSG1", b"MSG2"))
        [row, _] = await gateway.store.read(messages.listing)
        assert row["findings"] == [{"place": "MSH-18", "text": "bytes that are not utf_8 text were read as \ufffd"}]


# --- ways of answering ---


async def conversation(port: int, *sent: bytes, blocks: int) -> list[bytes]:
    """Send blocks, and return as many as come back until there are `blocks`, or the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(frame(one) for one in sent))
    found: list[bytes] = []
    async with asyncio.timeout(120):
        while len(found) < blocks:
            try:
                block = await reader.readuntil(b"\x1c\r")
            except asyncio.IncompleteReadError:
                break
            found.append(block[1:-2])
    writer.close()
    return found


def codes(blocks: list[bytes]) -> list[str]:
    return [block.partition(b"\rMSA|")[2][:2].decode() or repr(block) for block in blocks]


def asking(accept: str, application: str, **fields: str) -> bytes:
    raw = orm(**fields)
    header, end, rest = raw.partition(b"\r")
    parts = header.split(b"|") + [b""] * 18
    parts[14], parts[15] = accept.encode(), application.encode()
    return b"|".join(parts).rstrip(b"|") + end + rest


@pytest.mark.parametrize(
    ("accept", "application", "fields", "expected"),
    [
        ("AL", "AL", {}, ["CA", "AA"]),
        ("AL", "NE", {}, ["CA"]),
        ("NE", "AL", {}, ["AA"]),
        ("SU", "ER", {}, ["CA"]),
        ("ER", "AL", {}, ["AA"]),
        ("", "", {}, ["AA"]),
        ("AL", "AL", {"modality": "TOMO"}, ["CA", "AE"]),
        ("AL", "NE", {"modality": "TOMO"}, ["CE"]),
        ("ER", "ER", {"modality": "TOMO"}, ["AE"]),
        ("NE", "SU", {"modality": "TOMO"}, []),
    ],
)
@sqlite
async def test_an_enhanced_sender_gets_what_it_asks_for(
    start: Start, accept: str, application: str, fields: dict[str, str], expected: list[str]
) -> None:
    """A last message whose answer is known tells that nothing more came of the first."""
    async with start(hl7=listening(acknowledge="enhanced")) as gateway:
        last = orm(control_id="LAST", placer="P2", filler="F2", accession="A2", study_uid="")
        blocks = await conversation(
            gateway.hl7_ports["ris"], asking(accept, application, **fields), last, blocks=len(expected) + 1
        )
        assert codes(blocks) == [*expected, "AA"]
        assert b"|LAST" in blocks[-1]


@sqlite
async def test_an_enhanced_sender_s_own_acknowledgements_are_not_answered(start: Start) -> None:
    ack = b"MSH|^~\\&|RIS|HOSP|GATEWAY|HOSP|20260123||ACK|9|P|2.3.1\rMSA|CA|1\r"
    async with start(hl7=listening(acknowledge="enhanced")) as gateway:
        assert codes(await conversation(gateway.hl7_ports["ris"], ack, orm(), blocks=1)) == ["AA"]
    async with start(hl7=listening()) as gateway:
        assert codes(await conversation(gateway.hl7_ports["ris"], ack, orm(control_id="2"), blocks=1)) == ["AA"]
        assert len(await gateway.store.read(messages.listing)) == 2, "an acknowledgement is not kept as a message"


@sqlite
async def test_an_enhanced_sender_that_wants_no_accept_acknowledgement_hears_of_a_rejection(start: Start) -> None:
    raw = asking("NE", "AL").replace(b"ORM^O01", b"XYZ^O01")
    async with start(hl7=listening(acknowledge="enhanced")) as gateway:
        assert codes(await conversation(gateway.hl7_ports["ris"], raw, blocks=1)) == ["AR"]


@pytest.mark.parametrize(("training", "steps"), [("keep", 0), ("apply", 1)])
@pytest.mark.parametrize("processing", ["T", "D"])
@sqlite
async def test_a_message_for_training_is_answered_and_kept(
    start: Start, processing: str, training: str, steps: int
) -> None:
    raw = orm().replace(b"|P|2.3.1", f"|{processing}|2.3.1".encode())
    async with start(hl7=listening(training=training)) as gateway:
        assert codes(await conversation(gateway.hl7_ports["ris"], raw, blocks=1)) == ["AA"]
        [row] = await gateway.store.read(messages.listing)
        assert row["state"] == ("applied" if steps else "stored")
        assert [one["place"] for one in row["findings"]] == ["MSH-11"] * (not steps)


@pytest.mark.parametrize("codec", ["utf_16_le", "utf_16_be"])
@sqlite
async def test_a_sender_of_utf_16_can_read_its_acknowledgement(start: Start, codec: str) -> None:
    mark = {"utf_16_le": b"\xff\xfe", "utf_16_be": b"\xfe\xff"}[codec]
    async with start(hl7=listening()) as gateway:
        [block] = await conversation(gateway.hl7_ports["ris"], mark + orm().decode().encode(codec), blocks=1)
    assert block.startswith(mark)
    assert "MSA|AA|MSG1" in block.decode("utf_16")


@sqlite
async def test_what_an_original_sender_asks_for_does_not_matter(start: Start) -> None:
    async with start(hl7=listening()) as gateway:
        assert codes(await conversation(gateway.hl7_ports["ris"], asking("AL", "NE"), blocks=1)) == ["AA"]


@sqlite
async def test_mllp_release_2_confirms_ahead_of_the_answer(start: Start) -> None:
    async with start(hl7=listening(mllp_release=2)) as gateway:
        second = orm(control_id="2", control="ZZ")
        blocks = await conversation(gateway.hl7_ports["ris"], orm(), b"\x06", second, b"\x06", blocks=4)
        assert [blocks[0], blocks[2]] == [b"\x06", b"\x06"]
        assert codes([blocks[1], blocks[3]]) == ["AA", "AE"]


@sqlite
async def test_a_batch_is_answered_by_a_batch(start: Start) -> None:
    other = orm(control_id="2", control="ZZ", placer="P2", filler="F2", accession="A2", study_uid="")
    batch = b"FHS|^~\\&|RIS|HOSP|GATEWAY|HOSP\rBHS|^~\\&|RIS|HOSP|GATEWAY|HOSP|20260123||||B1\r"
    batch += orm() + other + b"BTS|2\rFTS|1\r"
    async with start(hl7=listening()) as gateway:
        [answer] = await conversation(gateway.hl7_ports["ris"], batch, blocks=1)
        lines = answer.decode().split("\r")
        assert [line[:3] for line in lines] == ["FHS", "BHS", "MSH", "MSA", "MSH", "MSA", "ERR", "BTS", "FTS", ""]
        assert lines[1].startswith("BHS|^~\\&|GATEWAY|HOSP|RIS|HOSP|")
        assert lines[1].endswith("|B1")
        assert [line for line in lines if line.startswith(("MSA", "BTS"))][::2] == ["MSA|AA|MSG1", "BTS|2"]
        assert "MSA|AE|2|" in answer.decode()
        rows = await gateway.store.read(messages.listing)
        assert [(row["control_id"], row["state"]) for row in rows] == [("2", "rejected"), ("MSG1", "applied")]


@sqlite
async def test_a_batch_that_says_it_has_more_is_told_of(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    batch = b"BHS|^~\\&|RIS\r" + orm() + orm(control_id="2") + b"BTS|3\r"
    async with start(hl7=listening()) as gateway:
        with caplog.at_level(logging.WARNING):
            [answer] = await conversation(gateway.hl7_ports["ris"], batch, blocks=1)
        assert answer.count(b"MSA|AA|") == 2
    assert "a batch of 2 messages says that it has 3" in without_phi(caplog)


@sqlite
async def test_too_large_is_counted(start: Start) -> None:
    async with start(hl7=listening(max_message_bytes=2048)) as gateway:
        before = await refused(gateway, "too large")
        [answer] = await conversation(gateway.hl7_ports["ris"], orm(name="X" * 4000), blocks=1)
        assert codes([answer]) == ["AR"]
        assert await refused(gateway, "too large") == before + 1
        assert len(await gateway.store.read(partial(refusals.listing, limit=5))) == 1


def test_certificates_without_an_authority_are_a_fault() -> None:
    with pytest.raises(ValueError, match=r"allowed_certificates needs tls\.client_ca"):
        config_of("sqlite:///x.db", hl7=listening(allowed_certificates=["ris"]))
