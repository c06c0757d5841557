"""A legal hold: nothing of a patient or an order is deleted while it is in force."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.records.patient import Identity


class HoldOn(StrEnum):
    PATIENT = "patient"
    ACCESSION = "accession"


@dataclass(frozen=True, slots=True)
class LegalHold:
    on: HoldOn
    value: str
    """Patient ID or accession number."""
    issuer: str = ""
    """Of the Patient ID; empty: whoever gave it."""

    def __str__(self) -> str:
        return f"{self.on} {self.value}" + (f" of {self.issuer}" if self.issuer else "")


@dataclass(frozen=True, slots=True)
class Held:
    """All holds in force, as rows are compared with them."""

    patients: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    """(Patient ID, issuer or '')."""
    accession_numbers: frozenset[str] = field(default_factory=frozenset)

    def __bool__(self) -> bool:
        return bool(self.patients or self.accession_numbers)

    def has_patient(self, identities: Iterable[Identity]) -> bool:
        """Whether any of these identities of a patient is held; an issuer that either side leaves out is any."""
        return any(
            one.patient_id == patient_id and ("" in (one.issuer, issuer) or one.issuer == issuer)
            for one in identities
            for patient_id, issuer in self.patients
        )
