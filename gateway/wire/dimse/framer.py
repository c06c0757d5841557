"""A stream of bytes cut into protocol data units by their heads (PS3.8 9.3.1)."""

from __future__ import annotations

from typing import Final

from gateway.wire.dimse.pdu import Body, PduFault
from gateway.wire.dimse.upper_layer import AbortReason, Event

_EVENTS: Final = {
    0x01: Event.EVT6,
    0x02: Event.EVT3,
    0x03: Event.EVT4,
    0x04: Event.EVT10,
    0x05: Event.EVT12,
    0x06: Event.EVT13,
    0x07: Event.EVT16,
}
MAX_ASSOCIATE_BYTES: Final = 1024 * 1024
"""128 presentation contexts with every transfer syntax there is take 200 kB."""
MAX_UNLIMITED_BYTES: Final = 16 * 1024 * 1024
"""The longest P-DATA-TF taken from a peer that got no limit."""
_P_DATA: Final = 0x04
_FIRST_BYTES: Final = 8 * 1024
"""Of a buffer; a request for an association mostly finds room."""
_FOUR_BYTES: Final = frozenset({0x03, 0x05, 0x06, 0x07})


class Framer:
    """Cuts a stream of bytes into PDUs; `max_data_bytes` bounds a P-DATA-TF, 0: `MAX_UNLIMITED_BYTES`.

    What comes is read into its buffer: into `room`, then `filled` counts the bytes. What `take` gives of a P-DATA-TF is
    a view of the buffer, and holds until the next `room`.
    """

    def __init__(self, max_data_bytes: int) -> None:
        self._buffer = memoryview(bytearray(_FIRST_BYTES))
        self._begin = self._end = 0
        """Of what came and was not taken."""
        self._limits = {0x01: MAX_ASSOCIATE_BYTES, 0x02: MAX_ASSOCIATE_BYTES}
        self._limits |= {0x04: max_data_bytes or MAX_UNLIMITED_BYTES}
        self._lost = False

    @property
    def waiting_bytes(self) -> int:
        """Fed, and not taken yet."""
        return self._end - self._begin

    def room(self) -> memoryview:
        """Where the next bytes go, if there are any. It grows with what came, not with what a length announces."""
        if self._begin == self._end:
            self._begin = self._end = 0
            return self._buffer
        waiting = self._end - self._begin
        size = 6 + self._length if waiting >= 6 else 6
        if self._begin + size > len(self._buffer) or self._end == len(self._buffer):
            # Behind a PDU there is room for the next, so that one read may end one and begin another.
            most = max(2 * waiting, min(2 * size, 4 * waiting))
            target = self._buffer if most <= len(self._buffer) else memoryview(bytearray(most))
            target[:waiting] = self._buffer[self._begin : self._end]
            self._buffer, self._begin, self._end = target, 0, waiting
        return self._buffer[self._end :]

    def filled(self, size: int) -> None:
        """So many bytes came into `room`."""
        if not self._lost:
            self._end += size

    def feed(self, chunk: bytes) -> None:
        """Bytes that were read elsewhere."""
        rest = memoryview(chunk)
        while rest and not self._lost:
            room = self.room()
            size = min(len(room), len(rest))
            room[:size] = rest[:size]
            self.filled(size)
            rest = rest[size:]

    def take(self) -> tuple[Event, Body] | None:
        """The next PDU as its event and what follows its length; None until it is there. Raises `PduFault`."""
        if self._end - self._begin < 6:
            return None
        kind, length = self._buffer[self._begin], self._length
        try:
            self._check(kind, length)
        except PduFault:
            self._lost = True
            self._begin = self._end = 0
            raise
        begin, end = self._begin + 6, self._begin + 6 + length
        if self._end < end:
            return None
        self._begin = end
        body = self._buffer[begin:end]
        return _EVENTS[kind], body if kind == _P_DATA else bytes(body)

    @property
    def _length(self) -> int:
        """Of the PDU that begins, without its head."""
        return int.from_bytes(self._buffer[self._begin + 2 : self._begin + 6], "big")

    def _check(self, kind: int, length: int) -> None:
        if kind not in _EVENTS:
            raise PduFault(AbortReason.UNRECOGNIZED_PDU, f"PDU type {kind:02X}", frames_lost=True)
        wrong = length != 4 if kind in _FOUR_BYTES else length > self._limits[kind]
        if wrong:
            why = f"PDU type {kind:02X} of {length} bytes"
            raise PduFault(AbortReason.INVALID_PDU_PARAMETER_VALUE, why, frames_lost=True)
