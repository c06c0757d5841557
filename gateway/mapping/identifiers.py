"""Identifiers that the gateway gives when a message has none: always the same for the same order.

A replayed message, a second gateway, a restored backup: each must come to the same Study Instance UID, or one
examination would become two. So every identifier here is derived from what the message does say, together with who
sent it; two sites that use the same accession number do not meet.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable
from typing import Final

from gateway.records.order import Attributes
from gateway.value_class import value_class

NAMESPACE: Final = uuid.UUID("5c0f3b1e-6d0e-5d9c-9c36-0b8f4f0f5a11")
"""Root of the name-based UUIDs (RFC 9562 version 5) of this gateway. Changing it would orphan every derived UID."""


@value_class
class Known:
    """What a derivation may look at: all that has been mapped before it."""

    attributes: Attributes
    authority: str
    """Who ordered: the sending facility."""
    placer: str
    filler: str
    position: int
    """Which step of its procedure, from 0."""


def derived_uid(*parts: str) -> str:
    """A UID below 2.25 (PS3.5 B.2) from the parts."""
    return f"2.25.{uuid.uuid5(NAMESPACE, chr(31).join(parts)).int}"


def short_id(prefix: str, *parts: str) -> str:
    """An id of 16 characters, VR SH, from the parts: 75 bits of their hash."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return prefix + base64.b32encode(digest).decode()[: 16 - len(prefix)]


def _short(prefix: str, known: Known, number: str) -> str:
    return number if len(number) <= 16 else short_id(prefix, known.authority, number)


def _number(known: Known) -> str:
    return known.filler or known.placer or str(known.attributes.get("AccessionNumber") or "")


def accession_number(known: Known) -> str:
    """The filler or placer order number when it fits SH (16 characters), else a short id of it."""
    return _short("A", known, known.filler or known.placer)


def requested_procedure_id(known: Known) -> str:
    """The filler, else placer order number, else accession number, when it fits SH, else a short id of it."""
    return _short("R", known, _number(known))


def study_instance_uid(known: Known) -> str:
    """From who ordered, the accession number and the Requested Procedure ID."""
    accession_number = str(known.attributes.get("AccessionNumber") or "")
    procedure = str(known.attributes.get("RequestedProcedureID") or "")
    return derived_uid("study", known.authority, accession_number or _number(known), procedure)


def scheduled_procedure_step_id(known: Known) -> str:
    """The Requested Procedure ID, with the step's position from the second step on."""
    procedure = str(known.attributes.get("RequestedProcedureID") or "")
    if known.position == 0:
        return procedure
    return _short("S", known, f"{procedure}-{known.position + 1}")


DERIVATIONS: Final[dict[str, Callable[[Known], str]]] = {
    function.__name__: function
    for function in (
        accession_number,
        requested_procedure_id,
        study_instance_uid,
        scheduled_procedure_step_id,
    )
}
