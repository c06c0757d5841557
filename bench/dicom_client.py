"""A DICOM requestor that adds as little time of its own as it can: bytes prepared beforehand, one blocking socket.

One association with C-ECHO and Modality Worklist C-FIND, or with MPPS N-CREATE and N-SET, in explicit VR little endian
(PS3.7 9.3, 10.3, PS3.8 9.3).
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from pydicom import Dataset
from pynetdicom.dsutils import encode

VERIFICATION: Final = "1.2.840.10008.1.1"
WORKLIST: Final = "1.2.840.10008.5.1.4.31"
MPPS: Final = "1.2.840.10008.3.1.2.3.3"
_CONTEXTS: Final = {VERIFICATION: 1, WORKLIST: 3}
MPPS_CONTEXTS: Final = {MPPS: 5}
CT_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
STORE_CONTEXTS: Final = {CT_IMAGE: 7}
_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_APPLICATION: Final = "1.2.840.10008.3.1.1.1"
_NO_DATA_SET: Final = 0x0101
_PENDING: Final = (0xFF00, 0xFF01)
_COMMAND, _LAST = 0x01, 0x02
_PIECE: Final = 32 * 1024
"""Of a data set in one PDU; what the gateway takes by default is four times as much."""
ACCEPTED, DATA, RELEASED = 0x02, 0x04, 0x06
"""PDU types: what an association request, a request and a release request are answered with."""


@dataclass(frozen=True)
class Answer:
    """One C-FIND, or one C-ECHO: how long it took, and how many pending responses it had."""

    seconds: float
    status: int
    matches: int


class Association:
    """`with Association(port) as one:`; accepted contexts are taken for granted, a refusal raises."""

    def __init__(
        self,
        port: int,
        *,
        calling_ae: str = "BENCH",
        called_ae: str = "GATEWAY",
        timeout: float = 120,
        contexts: Mapping[str, int] = _CONTEXTS,
        syntax: str = _EXPLICIT,
    ) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")
        self._request = association_request(called_ae, calling_ae, contexts, syntax)

    def __enter__(self) -> Self:
        self._socket.sendall(self._request)
        kind, _ = self._read_pdu()
        if kind != ACCEPTED:
            raise RuntimeError(f"the association was not accepted (PDU {kind:02X})")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._socket.sendall(RELEASE_REQUEST)
            self._read_pdu()
        self.close()

    def close(self) -> None:
        """Without a release."""
        self._stream.close()
        self._socket.close()

    def echo(self) -> Answer:
        return self._ask(ECHO_REQUEST)

    def find(self, identifier: bytes) -> Answer:
        """identifier: as `encoded` gives it."""
        return self._ask(_message(3, _command(WORKLIST, 0x0020, data=True), identifier))

    def perform(self, request: bytes) -> Answer:
        """request: as `performed_step_request` gives it."""
        return self._ask(request)

    def store(self, request: bytes) -> Answer:
        """request: as `store_request` gives it."""
        return self._ask(request)

    def _ask(self, request: bytes) -> Answer:
        begun = time.perf_counter()
        self._socket.sendall(request)
        matches = 0
        while (status := self._read_response()) in _PENDING:
            matches += 1
        return Answer(time.perf_counter() - begun, status, matches)

    def _read_response(self) -> int:
        """The Status of one response, with its data set read to the end."""
        command, status = b"", None
        while True:
            kind, body = self._read_pdu()
            if kind != DATA:
                raise RuntimeError(f"the association ended (PDU {kind:02X})")
            at = 0
            while at < len(body):
                length, _, header = struct.unpack_from(">IBB", body, at)
                value, at = body[at + 6 : at + 4 + length], at + 4 + length
                if header & _COMMAND:
                    command += value
                    if header & _LAST:
                        elements = _elements(command)
                        status = _us(elements[0x0900])
                        if _us(elements[0x0800]) == _NO_DATA_SET:
                            return status
                elif header & _LAST and status is not None:
                    return status

    def _read_pdu(self) -> tuple[int, bytes]:
        head = self._stream.read(6)
        if len(head) < 6:
            raise RuntimeError("the connection was closed")
        kind, _, length = struct.unpack(">BBI", head)
        return kind, self._stream.read(length)


def encoded(identifier: Dataset) -> bytes:
    """An identifier in explicit VR little endian."""
    result = encode(identifier, is_implicit_vr=False, is_little_endian=True)
    assert isinstance(result, bytes)
    return result


def performed_step_request(uid: str, data_set: bytes, *, is_begin: bool) -> bytes:
    """N-CREATE or N-SET with an encoded data set."""
    numbers = (0x0002, 0x0140, 0x1000) if is_begin else (0x0003, 0x0120, 0x1001)
    command = _command_set({
        numbers[0]: _uid(MPPS), 0x0100: _word(numbers[1]), 0x0110: _word(1), 0x0800: _word(0x0001),
        numbers[2]: _uid(uid),
    })  # fmt: skip
    return _message(MPPS_CONTEXTS[MPPS], command, data_set)


def store_request(sop_uid: str, data_set: bytes) -> bytes:
    """C-STORE of a CT image with an encoded data set."""
    command = _command_set({
        0x0002: _uid(CT_IMAGE), 0x0100: _word(0x0001), 0x0110: _word(1), 0x0700: _word(0), 0x0800: _word(0x0001),
        0x1000: _uid(sop_uid),
    })  # fmt: skip
    return _message(STORE_CONTEXTS[CT_IMAGE], command, data_set)


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body)) + body


def _pdv(context: int, header: int, value: bytes) -> bytes:
    return struct.pack(">IBB", len(value) + 2, context, header) + value


def _message(context: int, command: bytes, data_set: bytes | None = None) -> bytes:
    sent = _pdu(DATA, _pdv(context, _COMMAND | _LAST, command))
    if data_set is None:
        return sent
    *before, last = [data_set[at : at + _PIECE] for at in range(0, len(data_set), _PIECE)] or [b""]
    return b"".join(
        [sent, *(_pdu(DATA, _pdv(context, 0, one)) for one in before), _pdu(DATA, _pdv(context, _LAST, last))]
    )


def _command(sop_class: str, field: int, *, data: bool, status: int | None = None) -> bytes:
    """The command set of a request, or with a status of its response."""
    values = {0x0002: _uid(sop_class), 0x0100: _word(field), 0x0110 if status is None else 0x0120: _word(1)}
    if data and status is None:
        values[0x0700] = _word(0)
    values[0x0800] = _word(0x0001 if data else _NO_DATA_SET)
    if status is not None:
        values[0x0900] = _word(status)
    return _command_set(values)


def _command_set(values: Mapping[int, bytes]) -> bytes:
    """Implicit VR little endian, behind its length (PS3.7 6.3.1)."""
    body = b"".join(_element(number, value) for number, value in values.items())
    return _element(0x0000, struct.pack("<I", len(body))) + body


def _uid(value: str) -> bytes:
    return value.encode() + b"\0" * (len(value) % 2)


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def _elements(command: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at < len(command):
        _, number, length = struct.unpack_from("<HHI", command, at)
        found[number] = command[at + 8 : at + 8 + length]
        at += 8 + length
    return found


def _word(value: int) -> bytes:
    return struct.pack("<H", value)


def _us(value: bytes) -> int:
    return int(struct.unpack("<H", value)[0])


def association_request(
    called_ae: str, calling_ae: str = "BENCH", contexts: Mapping[str, int] = _CONTEXTS, syntax: str = _EXPLICIT
) -> bytes:
    """A-ASSOCIATE-RQ; without other contexts for Verification and Modality Worklist."""
    return _associate(0x01, called_ae, calling_ae, contexts, syntax)


def _associate(
    kind: int, called_ae: str, calling_ae: str, proposed: Mapping[str, int] = _CONTEXTS, syntax: str = _EXPLICIT
) -> bytes:
    accepting = kind == ACCEPTED
    contexts = b"".join(
        _item(
            0x21 if accepting else 0x20,
            struct.pack(">BBBB", number, 0, 0, 0)
            + (b"" if accepting else _item(0x30, uid.encode()))
            + _item(0x40, syntax.encode()),
        )
        for uid, number in proposed.items()
    )
    user = _item(0x50, _item(0x51, struct.pack(">I", 0)) + _item(0x52, b"2.25.1"))
    titles = called_ae.ljust(16).encode() + calling_ae.ljust(16).encode()
    fixed = struct.pack(">HH", 1, 0) + titles + bytes(32)
    return _pdu(kind, fixed + _item(0x10, _APPLICATION.encode()) + contexts + user)


def find_answer(data_sets: Iterable[bytes]) -> bytes:
    """All responses to a C-FIND: one pending for each data set, and Success."""
    pending = _command(WORKLIST, 0x8020, data=True, status=_PENDING[0])
    last = _message(3, _command(WORKLIST, 0x8020, data=False, status=0))
    return b"".join(_message(3, pending, one) for one in data_sets) + last


ECHO_REQUEST: Final = _message(1, _command(VERIFICATION, 0x0030, data=False))
ECHO_ANSWER: Final = _message(1, _command(VERIFICATION, 0x8030, data=False, status=0))
RELEASE_REQUEST: Final = _pdu(0x05, bytes(4))
RELEASE_ANSWER: Final = _pdu(RELEASED, bytes(4))
ASSOCIATION_ANSWER: Final = _associate(ACCEPTED, "CANNED", "BENCH")
