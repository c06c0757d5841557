"""The verdict on a message: what its processing came to, as values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from gateway.errors import GatewayError
from gateway.journey.order_intake.reading import Reading
from gateway.wire.hl7.message import Message


class Outcomes(Protocol):
    """What station 2 did."""

    orders: list[tuple[int | None, str]]
    patients: dict[int, str]
    findings: list[dict[str, str]]


REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a message."""

    state: str
    """`applied`, `stale` (older than what is applied), `stored` (of a type that says nothing to the worklist),
    `rejected` or `failed`."""
    code: str
    """MSA-1."""
    ack: bytes
    findings: list[dict[str, str]]
    orders: dict[int, str] = field(default_factory=dict)
    """Order -> what the message did to it."""
    patients: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What a message is answered, and its row if it was worked on now."""

    ack: bytes
    row: int | None = None


def refused(reading: Reading, error: GatewayError) -> Reading:
    return replace(reading, error=error, statements=())


def identity_of(raw: bytes, message: Message | None) -> dict[str, Any]:
    """What tells a message from others, as far as it could be read."""
    return {
        "sender": f"{message.sending_application}|{message.sending_facility}" if message else "",
        "control_id": message.control_id if message else "",
        "type": f"{message.type}^{message.trigger}" if message else "",
        "digest": hashlib.sha256(raw).digest(),
    }
