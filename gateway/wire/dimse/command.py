"""DIMSE command sets: group 0000 in implicit VR little endian (PS3.7 6.3, 9.3, 10.3, Annex E)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

C_STORE_RQ: Final = 0x0001
C_FIND_RQ: Final = 0x0020
C_ECHO_RQ: Final = 0x0030
C_CANCEL_RQ: Final = 0x0FFF
RESPONSE: Final = 0x8000

_AFFECTED_SOP_CLASS: Final = 0x0002
_REQUESTED_SOP_CLASS: Final = 0x0003
_COMMAND_FIELD: Final = 0x0100
_MESSAGE_ID: Final = 0x0110
_RESPONDED_TO: Final = 0x0120
_DATA_SET_TYPE: Final = 0x0800
_STATUS: Final = 0x0900
_ERROR_COMMENT: Final = 0x0902
_AFFECTED_SOP_INSTANCE: Final = 0x1000
_REQUESTED_SOP_INSTANCE: Final = 0x1001
_NO_DATA_SET: Final = 0x0101
COMMENT_CHARS: Final = 64
"""Of an LO."""


class CommandFault(Exception):
    """A command set that cannot be answered, for it does not say what it is."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a request says of itself; `sop_class` and `sop_instance` are the Affected or Requested ones."""

    field: int
    message_id: int
    """Of a C-CANCEL the Message ID Being Responded To."""
    sop_class: str
    sop_instance: str
    has_data_set: bool


def read(data: bytes) -> Command:
    """Raises `CommandFault`."""
    found = _elements(data)
    field = _number(found, _COMMAND_FIELD)
    return Command(
        field=field,
        message_id=_number(found, _RESPONDED_TO if field == C_CANCEL_RQ else _MESSAGE_ID),
        sop_class=_uid(found, _AFFECTED_SOP_CLASS, _REQUESTED_SOP_CLASS),
        sop_instance=_uid(found, _AFFECTED_SOP_INSTANCE, _REQUESTED_SOP_INSTANCE),
        has_data_set=_number(found, _DATA_SET_TYPE) != _NO_DATA_SET,
    )


def response(
    request: Command, status: int, *, comment: str = "", has_data_set: bool = False, names_instance: bool = False
) -> bytes:
    """The command set of a response. Of a comment that is too long the beginning is sent, what is not ASCII as `?`."""
    values: list[tuple[int, bytes]] = []
    if request.sop_class:
        values.append((_AFFECTED_SOP_CLASS, _padded(request.sop_class)))
    values += (
        (_COMMAND_FIELD, _us(request.field | RESPONSE)),
        (_RESPONDED_TO, _us(request.message_id)),
        (_DATA_SET_TYPE, _us(0x0000 if has_data_set else _NO_DATA_SET)),
        (_STATUS, _us(status)),
    )
    if comment:
        text = comment.encode("ascii", "replace")[:COMMENT_CHARS]
        values.append((_ERROR_COMMENT, text + b" " * (len(text) % 2)))
    if names_instance and request.sop_instance:
        values.append((_AFFECTED_SOP_INSTANCE, _padded(request.sop_instance)))
    return _encoded(values)


def _encoded(values: Iterable[tuple[int, bytes]]) -> bytes:
    body = b"".join(struct.pack("<HHI", 0, number, len(value)) + value for number, value in values)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _elements(data: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at < len(data):
        if len(data) - at < 8:
            raise CommandFault("the command set is cut off")
        group, number, length = struct.unpack_from("<HHI", data, at)
        if group or at + 8 + length > len(data):
            raise CommandFault(f"({group:04X},{number:04X}) of {length} bytes in a command set")
        found[number] = data[at + 8 : at + 8 + length]
        at += 8 + length
    return found


def _number(found: dict[int, bytes], element: int) -> int:
    value = found.get(element, b"")
    if len(value) != 2:
        raise CommandFault(f"(0000,{element:04X}) is missing or no US")
    return int.from_bytes(value, "little")


def _uid(found: dict[int, bytes], *elements: int) -> str:
    value = next((found[one] for one in elements if one in found), b"")
    try:
        return value.decode("ascii").strip(" \0")
    except UnicodeDecodeError:
        raise CommandFault("a UID that is no ASCII") from None


def _us(number: int) -> bytes:
    return number.to_bytes(2, "little")


def _padded(uid: str) -> bytes:
    value = uid.encode("ascii")
    return value + b"\0" * (len(value) % 2)
