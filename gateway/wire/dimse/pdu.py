"""Protocol data units: bytes <-> events of the upper layer and presentation data values (PS3.8 9.3).

What an A-ASSOCIATE PDU holds is read and written by pynetdicom; its frame, its lengths and the items nobody knows are
looked at before. P-DATA-TF is read here, for it carries every byte of every image.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, UserIdentityNegotiation

from gateway.wire.dimse.upper_layer import AbortReason

ASSOCIATE_FIXED: Final = 68
_KEPT_REQUESTS: Final = 64
_KEPT_BYTES: Final = 8 * 1024
_requests: Final = dict[bytes, A_ASSOCIATE]()
"""A-ASSOCIATE-RQs as they were read, which nobody changes: a peer asks with the same bytes each time, and to read them
takes as long as to answer."""

COMMAND: Final = 0x01
LAST: Final = 0x02
"""Bits of a message control header (PS3.8 E.2)."""
PDV_HEAD: Final = 6
"""Bytes of a presentation data value item beside its fragment: length, context, control header."""

RELEASE_RQ: Final = bytes.fromhex("05000000000400000000")
RELEASE_RP: Final = bytes.fromhex("06000000000400000000")

_ITEMS: Final = frozenset({0x10, 0x20, 0x50})
_CONTEXT_ITEMS: Final = frozenset({0x30, 0x40})
VERSION_NAME: Final = 0x55
VERSION_NAME_BYTES: Final = 16
"""Implementation Version Name (PS3.7 D.3.3.2.4): informational, and of more than 16 characters in some products."""
_USER_ITEMS: Final = frozenset({0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58})


Body = bytes | memoryview
"""Of a PDU, behind its length."""


class PduFault(Exception):
    """An invalid PDU, with the reason in the A-ABORT. `frames_lost`: the start of the next PDU is unknown."""

    def __init__(self, reason: AbortReason, why: str, *, frames_lost: bool = False) -> None:
        super().__init__(why)
        self.reason = reason
        self.frames_lost = frames_lost


class Fragment(NamedTuple):
    """A presentation data value (PS3.8 9.3.5.1)."""

    context_id: int
    control: int
    data: memoryview


def read_associate_rq(body: bytes) -> A_ASSOCIATE:
    """The A-ASSOCIATE indication, not to be changed. Unknown items are left out, as PS3.8 9.3.1 asks.

    Raises `PduFault`.
    """
    if (kept := _requests.get(body)) is not None:
        return kept
    request = _read_associate_rq(body)
    # No passcode stays in memory.
    if len(body) <= _KEPT_BYTES and not any(
        isinstance(one, UserIdentityNegotiation) for one in request.user_information
    ):
        while len(_requests) >= _KEPT_REQUESTS:
            del _requests[next(iter(_requests))]
        _requests[bytes(body)] = request
    return request


def _read_associate_rq(body: bytes) -> A_ASSOCIATE:
    if len(body) < ASSOCIATE_FIXED:
        raise PduFault(AbortReason.INVALID_PDU_PARAMETER_VALUE, "A-ASSOCIATE-RQ is cut off")
    items = b"".join(_known_items(body[ASSOCIATE_FIXED:]))
    pdu = A_ASSOCIATE_RQ()
    try:
        pdu.decode(struct.pack(">BBI", 1, 0, ASSOCIATE_FIXED + len(items)) + _fixed(body) + items)
        request = pdu.to_primitive()
    except Exception as error:  # pynetdicom raises whatever its parsers met
        why = f"A-ASSOCIATE-RQ cannot be read ({type(error).__name__})"
        raise PduFault(AbortReason.INVALID_PDU_PARAMETER_VALUE, why) from error
    offered = request.presentation_context_definition_list
    if len({one.context_id for one in offered}) < len(offered):
        raise PduFault(AbortReason.INVALID_PDU_PARAMETER_VALUE, "two presentation contexts have one id")
    for one in offered:
        if not one.abstract_syntax or not one.transfer_syntax:
            why = f"presentation context {one.context_id} names no abstract or no transfer syntax"
            raise PduFault(AbortReason.INVALID_PDU_PARAMETER_VALUE, why)
    return request


def _fixed(body: bytes) -> bytes:
    """The fixed fields with the AE titles padded by blanks: some callers pad them with NUL (PS3.8 9.3.2)."""
    return body[:4] + body[4:36].replace(b"\0", b" ") + body[36:ASSOCIATE_FIXED]


def protocol_version(body: bytes) -> int:
    """Of an A-ASSOCIATE-RQ: a bit for each version its sender speaks, bit 0 for version 1 (PS3.8 Table 9-11)."""
    return int.from_bytes(body[:2], "big")


def _known_items(data: bytes) -> Iterator[bytes]:
    for kind, value in items(data):
        if kind == 0x20:
            yield item(kind, value[:4] + _only(_CONTEXT_ITEMS, value[4:]))
        elif kind == 0x50:
            yield item(kind, _only(_USER_ITEMS, value))
        elif kind in _ITEMS:
            yield item(kind, value)


def _only(kinds: frozenset[int], data: bytes) -> bytes:
    return b"".join(
        item(kind, value[:VERSION_NAME_BYTES] if kind == VERSION_NAME else value)
        for kind, value in items(data)
        if kind in kinds
    )


def items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each item and sub-item (PS3.8 9.3.2.1). Raises `PduFault`."""
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        value = data[at + 4 : at + 4 + length]
        if at + 4 > len(data) or len(value) < length:
            raise PduFault(AbortReason.INVALID_PDU_PARAMETER_VALUE, f"item {data[at]:02X} is cut off")
        yield data[at], value
        at += 4 + length


def item(kind: int, value: bytes) -> bytes:
    """An item of an A-ASSOCIATE PDU."""
    return struct.pack(">BBH", kind, 0, len(value)) + value


def associate_ac(primitive: A_ASSOCIATE) -> bytes:
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def associate_rj(result: int, source: int, diagnostic: int) -> bytes:
    """PS3.8 9.3.4."""
    return struct.pack(">BBIBBBB", 0x03, 0, 4, 0, result, source, diagnostic)


def abort(source: int, reason: int) -> bytes:
    """PS3.8 9.3.8."""
    return struct.pack(">BBIBBBB", 0x07, 0, 4, 0, 0, source, reason)


def fragments(body: Body) -> Iterator[Fragment]:
    """The presentation data values of a P-DATA-TF. Raises `PduFault`."""
    view, at = memoryview(body), 0
    if not body:
        raise PduFault(AbortReason.INVALID_PDU_PARAMETER_VALUE, "a P-DATA-TF without a value")
    while at < len(body):
        length = int.from_bytes(view[at : at + 4], "big")
        end = at + 4 + length
        if length < 2 or end > len(body):
            why = f"a presentation data value of {length} bytes where {len(body) - at - 4} are there"
            raise PduFault(AbortReason.INVALID_PDU_PARAMETER_VALUE, why)
        yield Fragment(view[at + 4], view[at + 5], view[at + PDV_HEAD : end])
        at = end


def p_data_of(context_id: int, part: bytes, *, is_last: bool) -> bytes:
    """A P-DATA-TF with one fragment of a data set."""
    control = LAST if is_last else 0
    return struct.pack(">BBIIBB", 0x04, 0, len(part) + 6, len(part) + 2, context_id, control) + part


def p_data_parts(context_id: int, parts: memoryview, room: int) -> bytes:
    """P-DATA-TF PDUs of `room` bytes of a data set each, without its last fragment; `parts` is a multiple of it."""
    head = struct.pack(">BBIIBB", 0x04, 0, room + 6, room + 2, context_id, 0)
    return b"".join(one for at in range(0, len(parts), room) for one in (head, parts[at : at + room]))


_P_DATA: Final = struct.Struct(">BBIIBB").pack


def p_data(context_id: int, message: bytes, *, is_command: bool, max_bytes: int) -> bytes:
    """A whole command or data set as P-DATA-TF PDUs of one value each, none longer than the peer's maximum length.

    `max_bytes`: 0 for no limit. Fragments are of even length (PS3.8 E.1).
    """
    kind = COMMAND if is_command else 0
    room = (max_bytes - PDV_HEAD) & ~1 if max_bytes else len(message)
    if len(message) <= room:
        size = len(message) + 2
        return _P_DATA(0x04, 0, size + 4, size, context_id, kind | LAST) + message
    parts: list[bytes] = []
    for at in range(0, len(message), room):
        part = message[at : at + room]
        last = LAST if at + room >= len(message) else 0
        parts += (struct.pack(">BBIIBB", 0x04, 0, len(part) + 6, len(part) + 2, context_id, kind | last), part)
    return b"".join(parts)
