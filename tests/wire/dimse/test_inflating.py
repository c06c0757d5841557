"""Deflated data sets: limits count what they inflate to."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from gateway.errors import Malformed, TooLarge
from gateway.wire.dimse import deflated_header
from gateway.wire.dimse.deflated_header import split
from gateway.wire.dimse.inflating import inflated
from tests.wire.dimse import raw_peer as raw
from tests.wire.dimse.peers import serving
from tests.wire.dimse.raw_peer import WORKLIST

MEBI = 1024 * 1024


def deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    length = struct.pack("<HL", 0, len(value)) if vr in (b"OB", b"SQ", b"UT") else struct.pack("<H", len(value))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr + length + value


PATIENT = element(0x00100020, b"LO", b"P1")
ACCESSION = element(0x00080050, b"SH", b"A1")


def test_a_data_set_is_inflated_no_further_than_its_limit() -> None:
    assert inflated(deflated(b"x" * 1000), 1000) == b"x" * 1000
    assert inflated(deflated(b"x" * 1000) + b"\0", 1000) == b"x" * 1000
    bomb = deflated(bytes(32 * MEBI))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            inflated(bomb, MEBI)
        assert tracemalloc.get_traced_memory()[1] < 4 * MEBI
    finally:
        tracemalloc.stop()
    with pytest.raises(Malformed):
        inflated(b"\xff" * 100, 1000)


def test_what_a_header_leaves_out_is_never_in_memory() -> None:
    """A document of 32 MiB among short elements, with its delimiters and without."""
    document = element(0x00420011, b"OB", bytes(32 * MEBI))
    fragments = element(0x00420011, b"OB", b"")[:-4] + b"\xff\xff\xff\xff"
    fragments += struct.pack("<HHL", 0xFFFE, 0xE000, MEBI) + bytes(MEBI) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    behind = element(0x00450010, b"LO", b"behind")
    for long, most in ((document, 4), (fragments, 12)):
        data = deflated(ACCESSION + PATIENT + long + behind)
        tracemalloc.start()
        try:
            assert split(data, 65536) == ACCESSION + PATIENT + behind
            assert tracemalloc.get_traced_memory()[1] < most * MEBI
        finally:
            tracemalloc.stop()
    with pytest.raises(Malformed, match="announced"):
        split(deflated(ACCESSION + document[:-1]), 65536)


def test_a_header_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflated_header, "MAX_HEADER_BYTES", MEBI)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    long = element(0x00400555, b"SQ", item * (2 * MEBI // len(item)))
    texts = b"".join(element(0x00111000 + number, b"UT", b" " * 60_000) for number in range(40))
    for data in (long, texts):
        with pytest.raises(Malformed, match="longer than"):
            split(deflated(data), 65536)


async def test_a_deflated_query_that_inflates_is_refused() -> None:
    """No limit of the bytes as they come would stop it: it has a tenth of them."""
    bomb = deflated(element(0x00400100, b"SQ", struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 4 * MEBI))
    assert len(bomb) < 128 * 1024
    contexts = raw.context(3, WORKLIST, DeflatedExplicitVRLittleEndian)
    async with serving() as server, raw.associated(server.port, contexts=contexts) as peer:  # type: ignore[arg-type]
        peer.send(raw.pdu(0x04, raw.pdv(3, 0x03, raw.request(0x0020, WORKLIST, data=True))))
        for at in range(0, len(bomb), 16_000):
            last = 0x02 if at + 16_000 >= len(bomb) else 0x00
            peer.send(raw.pdu(0x04, raw.pdv(3, last, bomb[at : at + 16_000])))
        assert (await peer.status())[1] == 0xA700
