"""Bytes that come in pieces are the PDUs that were sent."""

from __future__ import annotations

import pytest

from gateway.wire.dimse import pdu
from gateway.wire.dimse.framer import MAX_UNLIMITED_BYTES, Framer
from gateway.wire.dimse.upper_layer import Event


def p_data_tf(size: int) -> bytes:
    part = bytes(number % 251 for number in range(size))
    return b"\x04\0" + size.to_bytes(4, "big") + part


@pytest.mark.parametrize("piece", [1, 7, 1000, 50_000, 1_000_000])
def test_pdus_are_the_same_however_they_come(piece: int) -> None:
    sizes = (0, 3, 8_186, 8_187, 100, 131_072, 131_071, 20_000, 1) if piece > 7 else (0, 3, 100, 9_000, 1)
    stream = b"".join(map(p_data_tf, sizes)) + pdu.RELEASE_RQ
    framer, taken = Framer(131_072), list[tuple[Event, bytes]]()
    rest = stream
    while rest:
        room = framer.room()
        size = min(piece, len(room), len(rest))
        room[:size] = rest[:size]
        framer.filled(size)
        rest = rest[size:]
        while (one := framer.take()) is not None:
            taken.append((one[0], bytes(one[1])))
    assert taken == [*((Event.EVT10, p_data_tf(size)[6:]) for size in sizes), (Event.EVT12, pdu.RELEASE_RQ[6:])]


def test_room_grows_with_what_came_and_not_with_what_is_announced() -> None:
    framer = Framer(0)
    framer.feed(b"\x04\0" + MAX_UNLIMITED_BYTES.to_bytes(4, "big"))
    assert len(framer.room()) < 10_000
    framer.feed(bytes(50_000))
    assert len(framer.room()) < 200_000


def test_behind_a_fault_nothing_is_taken() -> None:
    framer = Framer(131_072)
    framer.feed(b"\x09\0\0\0\0\0")
    with pytest.raises(pdu.PduFault):
        framer.take()
    framer.feed(pdu.RELEASE_RQ)
    assert framer.take() is None
    assert framer.waiting_bytes == 0
