"""Attributes of an instance that are corrected on its way to a destination (PS3.3 C.12.1.1.9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from gateway.records.order import Attributes

Reason = Literal["COERCE", "CORRECT"]
"""Reason for the Attribute Modification (0400,0565)."""
CorrectionSet = Literal["patient", "order", "site"]
"""The rows of a level of `corrections.yaml`."""
REASONS: Final[Mapping[CorrectionSet, Reason]] = {"patient": "COERCE", "order": "CORRECT", "site": "COERCE"}
"""COERCE: values are reconciled with those of this enterprise; CORRECT: what the operator chose or typed was wrong."""


@dataclass(frozen=True, slots=True)
class Correction:
    """An attribute of the data set, not of an item, and the value that it gets."""

    keyword: str
    value: Any
    """As in `Attributes`."""
    reason: Reason


@dataclass(frozen=True, slots=True)
class Modification:
    """What Original Attributes Sequence states beside the previous values."""

    system: str
    """Modifying System (0400,0563): who corrects."""
    source: str
    """Source of Previous Values (0400,0564): who sent the instance here."""
    at: str
    """Attribute Modification DateTime (0400,0562)."""


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """What is known of an instance when it is sent."""

    header: bytes
    """The encoded elements before the pixel data."""
    transfer_syntax_uid: str
    """How `header` is encoded."""
    source_ae: str
    """Who sent the study."""
    patient: Attributes = field(default_factory=dict)
    """The patient as of today, `PatientID` and `IssuerOfPatientID` included; empty: not known here."""
    order: Attributes = field(default_factory=dict)
    """The order and requested procedure that the instance answers; empty: none, or several."""
