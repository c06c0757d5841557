"""What an order message says, once mapped: frozen data between reading (`mapping`) and scheduling (`journey`)."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Final

from gateway.errors import Place, RequiredMissing
from gateway.records.finding import Finding
from gateway.records.step import StepEvent
from gateway.value_class import value_class

Attributes = dict[str, Any]
"""DICOM keyword -> value: a string, a list of strings (VM > 1) or a list of `Attributes` (a sequence's items).
None is the explicit null of HL7 (`""`): delete what is stored. A keyword that is not there says nothing."""

NOT_IMAGING: Final = "not imaging"
"""What became of an order of a source that sends other orders than of images too."""


@value_class
class Number:
    """An EI: an order number with the authority that gave it."""

    value: str
    authority: str
    """Empty when the message does not say it."""


@value_class
class OrderedStep:
    """A Scheduled Procedure Step as the message states it."""

    attributes: Attributes


@value_class
class StepListing:
    """What the action codes of a message (IPC-10) say of the steps of a procedure."""

    withdrawn: frozenset[str] = frozenset()
    """Ids of the steps that the message takes back."""
    is_whole: bool = True
    """A change cancels the steps that it leaves out; False: it states single steps, and the others stay."""


WHOLE_LIST: Final = StepListing()


@value_class
class OrderedProcedure:
    """One Requested Procedure with its order: an ORC/OBR group, or several that share Requested Procedure ID; also a
    result (ORU) or an appointment (SIU) that speaks of an order."""

    place: Place
    """The segment that opens the group."""
    event: StepEvent | None
    """What the message does to the steps; None for an order control that is none of table 0119's we know."""
    control: str
    """ORC-1; empty in results and appointments."""
    event_at: int
    """ORC-9, else MSH-7, else the time of receipt; microseconds since 1970 UTC."""
    patient: Attributes
    order: Attributes
    procedure: Attributes
    steps: tuple[OrderedStep, ...]
    """Of a message that takes back all of the steps that it names: none."""
    authority: str
    """Who gave the accession number: its issuer, else the sender. Empty: nobody knows (a worklist file)."""
    sender: str
    """Sending facility, else application, else the listener's name: whose numbers those without authority are. Empty:
    nobody knows."""
    placer: Number | None = None
    filler: Number | None = None
    parent: Number | None = None
    """ORC-8.1: placer number of the order that this one is part of (CH) or takes the place of (RO)."""
    parent_filler: Number | None = None
    """ORC-8.2: its filler number, where ORC-8 has no placer number."""
    listing: StepListing = WHOLE_LIST
    derived: frozenset[str] = field(default_factory=frozenset)
    """Keywords whose value is the gateway's own, because the message had none."""
    findings: tuple[Finding, ...] = field(default=(), compare=False)
    """What the message holds and could not be taken over."""
    missing: tuple[RequiredMissing, ...] = field(default=(), compare=False)
    """Required attributes that a change leaves out: no fault where the order has them already."""
    not_imaging: Finding | None = field(default=None, compare=False)
    """Why this is no order for the worklist, unless the order is there already; None: it is one."""
