"""A-ASSOCIATE, A-ASSOCIATE-RJ and A-ABORT as a requestor writes and reads them (PS3.8 9.3)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.errors import GatewayError, Rejected, Unavailable
from gateway.wire.dimse.negotiation import APPLICATION_CONTEXT, MIN_PEER_BYTES, AcceptedContext
from gateway.wire.dimse.pdu import ASSOCIATE_FIXED, PduFault, item, items
from gateway.wire.dimse.upper_layer import AbortReason

MAX_CONTEXTS: Final = 128
"""Presentation contexts of an association: their ids are the odd numbers of a byte (PS3.8 9.3.2.2)."""
_ROLE: Final = 0x54
"""The item of SCP/SCU role selection."""
_RESULTS: Final = {1: "rejected-permanent", 2: "rejected-transient"}
_TRANSIENT: Final = 2
_SOURCES: Final = {
    1: "DICOM UL service-user",
    2: "DICOM UL service-provider (ACSE related function)",
    3: "DICOM UL service-provider (Presentation related function)",
}
_REASONS: Final[Mapping[tuple[int, int], str]] = {
    (1, 1): "no-reason-given",
    (1, 2): "application-context-name-not-supported",
    (1, 3): "calling-AE-title-not-recognized",
    (1, 7): "called-AE-title-not-recognized",
    (2, 1): "no-reason-given",
    (2, 2): "protocol-version-not-supported",
    (3, 1): "temporary-congestion",
    (3, 2): "local-limit-exceeded",
}
"""PS3.8 Table 9-21."""
_ABORT_SOURCES: Final = {0: "DICOM UL service-user", 2: "DICOM UL service-provider"}
_ABORT_REASONS: Final = {
    AbortReason.NOT_SPECIFIED: "reason-not-specified",
    AbortReason.UNRECOGNIZED_PDU: "unrecognized-PDU",
    AbortReason.UNEXPECTED_PDU: "unexpected-PDU",
    AbortReason.UNRECOGNIZED_PDU_PARAMETER: "unrecognized-PDU parameter",
    AbortReason.UNEXPECTED_PDU_PARAMETER: "unexpected-PDU parameter",
    AbortReason.INVALID_PDU_PARAMETER_VALUE: "invalid-PDU-parameter value",
}
"""PS3.8 Table 9-26."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a requestor asks for: an abstract syntax and the transfer syntaxes that it can send."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    is_scp: bool = False
    """The requestor wants to be the SCP of the class, and that alone (PS3.7 D.3.3.4)."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What an A-ASSOCIATE-AC agrees to."""

    contexts: Sequence[AcceptedContext] = field(default=())
    """The accepted presentation contexts."""
    max_bytes: int = 0
    """Maximum Length Received of the acceptor; 0: no limit."""


def associate_rq(
    calling_ae: str, called_ae: str, proposals: Sequence[Proposal], implementation: tuple[str, str], max_bytes: int
) -> bytes:
    """PS3.8 9.3.2. `implementation`: class UID and version name; `max_bytes`: the longest P-DATA-TF that is taken."""
    uid, version = implementation
    user = item(0x51, max_bytes.to_bytes(4, "big")) + item(0x52, uid.encode())
    user += b"".join(_role(one) for one in dict.fromkeys(one.abstract_syntax for one in proposals if one.is_scp))
    user += item(0x55, version.encode())
    contexts = (_context(2 * at + 1, one) for at, one in enumerate(proposals))
    titles = b"".join(title.encode("ascii", "replace")[:16].ljust(16) for title in (called_ae, calling_ae))
    body = struct.pack(">HH", 1, 0) + titles + bytes(32) + item(0x10, APPLICATION_CONTEXT.encode())
    body += b"".join(contexts) + item(0x50, user)
    return struct.pack(">BBI", 0x01, 0, len(body)) + body


def _role(abstract_syntax: str) -> bytes:
    """PS3.7 Table D.3-9: not the SCU role, the SCP role."""
    name = abstract_syntax.encode()
    return item(_ROLE, len(name).to_bytes(2, "big") + name + bytes((0, 1)))


def _context(number: int, proposal: Proposal) -> bytes:
    names = b"".join(item(0x40, one.encode()) for one in proposal.transfer_syntaxes)
    return item(0x20, bytes((number, 0, 0, 0)) + item(0x30, proposal.abstract_syntax.encode()) + names)


def read_associate_ac(body: bytes, proposals: Sequence[Proposal]) -> Acceptance:
    """PS3.8 9.3.3. What was not proposed counts as not accepted, and so does a class of which the SCP role is refused;
    where the acceptor says nothing of roles, it is taken to agree. Items nobody knows are passed over. Raises
    `PduFault`."""
    if len(body) < ASSOCIATE_FIXED:
        raise PduFault(AbortReason.INVALID_PDU_PARAMETER_VALUE, "A-ASSOCIATE-AC is cut off")
    contexts: list[AcceptedContext] = []
    max_bytes, refused = 0, set[str]()
    for kind, value in items(body[ASSOCIATE_FIXED:]):
        if kind == 0x21 and (context := _accepted(value, proposals)) is not None:
            contexts.append(context)
        elif kind == 0x50:
            lengths = (int.from_bytes(inner, "big") for number, inner in items(value) if number == 0x51)
            max_bytes = next(lengths, 0)
            refused = {_class_of(inner) for number, inner in items(value) if number == _ROLE and inner[-1:] == b"\0"}
    if 0 < max_bytes < MIN_PEER_BYTES:
        why = f"a maximum length of {max_bytes} bytes leaves no room for data"
        raise PduFault(AbortReason.INVALID_PDU_PARAMETER_VALUE, why)
    as_scp = {one.abstract_syntax for one in proposals if one.is_scp}
    return Acceptance([one for one in contexts if one.abstract_syntax not in as_scp & refused], max_bytes)


def _class_of(role: bytes) -> str:
    return role[2:-2].decode("ascii", "replace").strip(" \0")


def _accepted(value: bytes, proposals: Sequence[Proposal]) -> AcceptedContext | None:
    number, result = value[0], value[2]
    names = [inner.decode("ascii", "replace").strip(" \0") for kind, inner in items(value[4:]) if kind == 0x40]
    if result or not number % 2 or number // 2 >= len(proposals):
        return None
    proposal = proposals[number // 2]
    if len(names) != 1 or names[0] not in proposal.transfer_syntaxes:
        return None
    return AcceptedContext(number, proposal.abstract_syntax, names[0])


def rejection(body: bytes, place: str) -> GatewayError:
    """The error of an A-ASSOCIATE-RJ (PS3.8 9.3.4): one that is transient may go by, the other needs a person."""
    _, result, source, reason = body
    words = {
        "result": _RESULTS.get(result, str(result)),
        "source": _SOURCES.get(source, str(source)),
        "reason": _REASONS.get((source, reason), str(reason)),
    }
    kind = Unavailable if result == _TRANSIENT else Rejected
    error = kind(f"association {words['result']} by the {words['source']}: {words['reason']}", place=place)
    error.details = {"association": words}
    return error


def abortion(body: bytes, place: str) -> Unavailable:
    """The error of an A-ABORT (PS3.8 9.3.8)."""
    _, _, source, reason = body
    words = {"result": "aborted", "source": _ABORT_SOURCES.get(source, str(source))}
    text = f"association aborted by the {words['source']}"
    if source:
        words["reason"] = {int(key): value for key, value in _ABORT_REASONS.items()}.get(reason, str(reason))
        text += f": {words['reason']}"
    error = Unavailable(text, place=place)
    error.details = {"association": words}
    return error
