"""Links between the resources of an EHR: what a resource of ours refers to by identifier."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A resource of an EHR that another refers to."""

    kind: str
    """FHIR resource type, `Patient` or `ServiceRequest`."""
    identifier: str
    """`system|value`."""


@dataclass(frozen=True, slots=True)
class MissingLink:
    """A reference that stays logical, since the EHR holds no resource or several with the identifier."""

    target: Target
    held: int
    """How many resources of the EHR have the identifier."""

    def __str__(self) -> str:
        return f"the EHR holds {self.held or 'no'} {self.target.kind} with the identifier {self.target.identifier}"
