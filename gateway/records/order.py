"""What an order message says, once mapped: frozen data between reading (`mapping`) and scheduling (`journey`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Attributes = dict[str, Any]
"""DICOM keyword -> value: a string, a list of strings (VM > 1) or a list of `Attributes` (a sequence's items).
None is the explicit null of HL7 (`""`): delete what is stored. A keyword that is not there says nothing."""


@dataclass(frozen=True, slots=True)
class Number:
    """An EI: an order number with the authority that gave it."""

    value: str
    authority: str
    """Empty when the message does not say it."""


@dataclass(frozen=True, slots=True)
class OrderedStep:
    """A Scheduled Procedure Step as the message states it."""

    attributes: Attributes


@dataclass(frozen=True, slots=True)
class OrderedProcedure:
    """One Requested Procedure with its order: an ORC/OBR group, or several that share Requested Procedure ID."""

    place: str
    """Where in the message, such as `ORC[2]`."""
    control: str
    """ORC-1."""
    status: str
    """ORC-5."""
    event_at: int
    """ORC-9, else MSH-7, else the time of receipt; microseconds since 1970 UTC."""
    patient: Attributes
    order: Attributes
    procedure: Attributes
    steps: tuple[OrderedStep, ...]
    authority: str
    """Who gave the accession number: its issuer, else the sender."""
    sender: str
    """Sending facility, else application, else the listener's name: whose numbers those without authority are."""
    placer: Number | None = None
    filler: Number | None = None
    derived: frozenset[str] = field(default_factory=frozenset)
    """Keywords whose value is the gateway's own, because the message had none."""
