"""DIMSE command sets: group 0000 in implicit VR little endian (PS3.7 6.3, 9.3, 10.3, Annex E)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from gateway.dicom_encoding import tag_name

C_STORE_RQ: Final = 0x0001
C_GET_RQ: Final = 0x0010
C_FIND_RQ: Final = 0x0020
C_MOVE_RQ: Final = 0x0021
C_ECHO_RQ: Final = 0x0030
C_CANCEL_RQ: Final = 0x0FFF
N_EVENT_REPORT_RQ: Final = 0x0100
N_GET_RQ: Final = 0x0110
N_SET_RQ: Final = 0x0120
N_ACTION_RQ: Final = 0x0130
N_CREATE_RQ: Final = 0x0140
RESPONSE: Final = 0x8000

_AFFECTED_SOP_CLASS: Final = 0x0002
_REQUESTED_SOP_CLASS: Final = 0x0003
_COMMAND_FIELD: Final = 0x0100
_MESSAGE_ID: Final = 0x0110
_RESPONDED_TO: Final = 0x0120
_MOVE_DESTINATION: Final = 0x0600
_PRIORITY: Final = 0x0700
_DATA_SET_TYPE: Final = 0x0800
_STATUS: Final = 0x0900
_ERROR_COMMENT: Final = 0x0902
_ERROR_ID: Final = 0x0903
_AFFECTED_SOP_INSTANCE: Final = 0x1000
_REQUESTED_SOP_INSTANCE: Final = 0x1001
_EVENT_TYPE: Final = 0x1002
_ATTRIBUTES: Final = 0x1005
"""Attribute Identifier List."""
_ACTION_TYPE: Final = 0x1008
_SUB_OPERATIONS: Final = (0x1020, 0x1021, 0x1022, 0x1023)
_TYPES: Final = {N_EVENT_REPORT_RQ: _EVENT_TYPE, N_ACTION_RQ: _ACTION_TYPE}
_AFFECTED: Final = (_AFFECTED_SOP_CLASS, _AFFECTED_SOP_INSTANCE)
_REQUESTED: Final = (_REQUESTED_SOP_CLASS, _REQUESTED_SOP_INSTANCE)
_OF_EXISTING: Final = (N_SET_RQ, N_GET_RQ, N_ACTION_RQ)
"""They name what they are about as Requested SOP Class and Instance."""
_WITH_PRIORITY: Final = (C_STORE_RQ, C_FIND_RQ, C_GET_RQ, C_MOVE_RQ)
_FURTHER: Final = frozenset({_ERROR_COMMENT, _ERROR_ID, _ATTRIBUTES, *_TYPES.values(), *_SUB_OPERATIONS})
_HEAD: Final = struct.Struct("<HHI")
"""Of an element: group, number, length."""
_NO_DATA_SET: Final = 0x0101
_DATA_SET: Final = 0x0001
MEDIUM: Final = 0x0000
HIGH: Final = 0x0001
LOW: Final = 0x0002
"""Priorities (PS3.7 9.1.1.1.5)."""
_KEPT_CHARS: Final = 64
"""Of a SOP class whose responses' beginning is kept: what is longer is no UID, and many would fill the memory."""
COMMENT_CHARS: Final = 64
"""Of an LO."""


class CommandFault(Exception):
    """A command set that cannot be answered, for it does not say what it is."""


class SubOperations(NamedTuple):
    """Numbers of Remaining, Completed, Failed and Warning Sub-operations (0000,1020) to (0000,1023) of a C-GET or
    C-MOVE; None: not stated, which is not 0."""

    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None


NOT_STATED: Final = SubOperations()


class Command(NamedTuple):
    """What a request or a response says of itself; `sop_class` and `sop_instance`: the Affected or Requested ones."""

    field: int
    message_id: int
    """Of a C-CANCEL and of a response the Message ID Being Responded To."""
    sop_class: str
    sop_instance: str
    has_data_set: bool
    attributes: tuple[int, ...] = ()
    """Tags of the Attribute Identifier List (0000,1005)."""
    status: int = 0
    """Status (0000,0900) of a response."""
    comment: str = ""
    """Error Comment (0000,0902) of a response."""
    error_id: int | None = None
    """Error ID (0000,0903) of a response."""
    type_id: int = 0
    """Action Type ID (0000,1008) of an N-ACTION, Event Type ID (0000,1002) of an N-EVENT-REPORT."""
    sub_operations: SubOperations = NOT_STATED


def read(data: bytes) -> Command:
    """Elements of other groups in a response are passed over: Orthanc writes Failed SOP Instance UID List there, where
    DCMTK writes details of a status. Raises `CommandFault`."""
    found, stray = _elements(data)
    field = _number(found, _COMMAND_FIELD)
    if stray and not field & RESPONSE:
        raise CommandFault(f"{tag_name(stray)} in a command set")
    answers = field == C_CANCEL_RQ or bool(field & RESPONSE)
    return Command(
        field=field,
        message_id=_number(found, _RESPONDED_TO if answers else _MESSAGE_ID),
        sop_class=_uid(found, _AFFECTED_SOP_CLASS, _REQUESTED_SOP_CLASS),
        sop_instance=_uid(found, _AFFECTED_SOP_INSTANCE, _REQUESTED_SOP_INSTANCE),
        has_data_set=_number(found, _DATA_SET_TYPE) != _NO_DATA_SET,
        **(_further(found, field) if field & RESPONSE or not _FURTHER.isdisjoint(found) else {}),
    )


def _further(found: dict[int, bytes], field: int) -> dict[str, Any]:
    """What responses and few requests state beside what all do."""
    return {
        "attributes": _tags(found.get(_ATTRIBUTES, b"")),
        "status": _number(found, _STATUS) if field & RESPONSE else 0,
        "comment": found.get(_ERROR_COMMENT, b"").decode("ascii", "replace").strip(" \0"),
        "error_id": _number(found, _ERROR_ID) if _ERROR_ID in found else None,
        "type_id": next((_number(found, one) for one in _TYPES.values() if one in found), 0),
        "sub_operations": SubOperations(*(_number(found, one) if one in found else None for one in _SUB_OPERATIONS)),
    }


def request(
    field: int,
    message_id: int,
    sop_class: str,
    instance: str = "",
    *,
    has_data_set: bool,
    tags: Sequence[int] = (),
    priority: int = MEDIUM,
    type_id: int = 0,
    destination: str = "",
) -> bytes:
    """The command set of a request (PS3.7 9.3, 10.3). `tags`: of the Attribute Identifier List; `priority`: of a
    composite operation; `type_id`: of an N-ACTION and an N-EVENT-REPORT; `destination`: AE title, of a C-MOVE."""
    of_class, of_instance = _REQUESTED if field in _OF_EXISTING else _AFFECTED
    values = [
        (of_class, _padded(sop_class)),
        (_COMMAND_FIELD, _us(field)),
        (_MESSAGE_ID, _us(message_id)),
        *([(_MOVE_DESTINATION, _title(destination))] if field == C_MOVE_RQ else []),
        *([(_PRIORITY, _us(priority))] if field in _WITH_PRIORITY else []),
        (_DATA_SET_TYPE, _us(_DATA_SET if has_data_set else _NO_DATA_SET)),
    ]
    return _encoded([*values, *_about(of_instance, instance, field, type_id, tags)])


def cancel(message_id: int) -> bytes:
    """The command set of a C-CANCEL-RQ of the request with this Message ID (PS3.7 9.3.2.3)."""
    values = ((_COMMAND_FIELD, _us(C_CANCEL_RQ)), (_RESPONDED_TO, _us(message_id)), (_DATA_SET_TYPE, _us(_NO_DATA_SET)))
    return _encoded(values)


def response(
    request: Command,
    status: int,
    *,
    comment: str = "",
    error_id: int | None = None,
    has_data_set: bool = False,
    instance: str = "",
    attributes: Sequence[int] = (),
) -> bytes:
    """The command set of a response.

    `instance`: Affected SOP Instance UID; `attributes`: tags of the Attribute Identifier List. Of a comment that is too
    long the beginning is sent, what is not ASCII as `?`.
    """
    around_id = _around_id if len(request.sop_class) <= _KEPT_CHARS else _around_id.__wrapped__
    before, behind = around_id(request.sop_class, request.field, status, has_data_set=has_data_set)
    values: list[tuple[int, bytes]] = []
    if comment:
        text = comment.encode("ascii", "replace")[:COMMENT_CHARS]
        values.append((_ERROR_COMMENT, text + b" " * (len(text) % 2)))
    if error_id is not None:
        values.append((_ERROR_ID, _us(error_id)))
    values += _about(_AFFECTED_SOP_INSTANCE, instance, request.field, request.type_id, attributes)
    return _with_length(before + _us(request.message_id) + behind + _joined(values))


@lru_cache(maxsize=256)
def _around_id(sop_class: str, field: int, status: int, *, has_data_set: bool) -> tuple[bytes, bytes]:
    """What all responses to requests of a kind begin with, before and behind the Message ID."""
    values = [(_AFFECTED_SOP_CLASS, _padded(sop_class))] if sop_class else []
    values += ((_COMMAND_FIELD, _us(field | RESPONSE)), (_RESPONDED_TO, _us(0)))
    behind = ((_DATA_SET_TYPE, _us(0x0000 if has_data_set else _NO_DATA_SET)), (_STATUS, _us(status)))
    return _joined(values)[:-2], _joined(behind)


def _about(
    of_instance: int, instance: str, field: int, type_id: int, tags: Sequence[int]
) -> Iterator[tuple[int, bytes]]:
    """The elements behind the status: what a request or response is about."""
    if instance:
        yield of_instance, _padded(instance)
    if field in _TYPES:
        yield _TYPES[field], _us(type_id)
    if tags:
        yield _ATTRIBUTES, _at(tags)


def _encoded(values: Iterable[tuple[int, bytes]]) -> bytes:
    return _with_length(_joined(values))


def _joined(values: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join(_HEAD.pack(0, number, len(value)) + value for number, value in values)


def _with_length(body: bytes) -> bytes:
    """Behind Command Group Length."""
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _elements(data: bytes) -> tuple[dict[int, bytes], int]:
    """Those of group 0000 by number, and the tag of another (0: there is none)."""
    found, at, stray, size = {}, 0, 0, len(data)
    while at < size:
        if size - at < 8:
            raise CommandFault("the command set is cut off")
        group, number, length = _HEAD.unpack_from(data, at)
        begin, at = at + 8, at + 8 + length
        if at > size:
            raise CommandFault(f"({group:04X},{number:04X}) of {length} bytes in a command set")
        if group:
            stray = stray or group << 16 | number
        else:
            found[number] = data[begin:at]
    return found, stray


def _number(found: dict[int, bytes], element: int) -> int:
    value = found.get(element, b"")
    if len(value) != 2:
        raise CommandFault(f"(0000,{element:04X}) is missing or no US")
    return int.from_bytes(value, "little")


def _uid(found: dict[int, bytes], affected: int, requested: int) -> str:
    value = found[affected] if affected in found else found.get(requested, b"")
    try:
        return value.decode("ascii").strip(" \0")
    except UnicodeDecodeError:
        raise CommandFault("a UID that is no ASCII") from None


def _tags(value: bytes) -> tuple[int, ...]:
    if len(value) % 4:
        raise CommandFault("(0000,1005) is no AT")
    return tuple(group << 16 | element for group, element in struct.iter_unpack("<HH", value))


def _at(tags: Sequence[int]) -> bytes:
    return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in tags)


def _us(number: int) -> bytes:
    return number.to_bytes(2, "little")


def _title(ae_title: str) -> bytes:
    value = ae_title.encode("ascii")
    return value + b" " * (len(value) % 2)


def _padded(uid: str) -> bytes:
    value = uid.encode("ascii")
    return value + b"\0" * (len(value) % 2)
