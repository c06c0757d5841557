"""The patient: what ADT messages do, and whose word about a patient counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Final

from gateway.errors import Place
from gateway.records.finding import Finding
from gateway.records.order import Attributes
from gateway.value_class import value_class

Stamps = dict[str, list[int]]
"""Keyword -> [rank, microseconds] of the statement that its value, or its absence, comes from. The key "" holds for
every keyword that is not listed."""


class PatientEvent(StrEnum):
    UPDATE = "update"
    """Registered, admitted, moved, discharged, corrected."""
    ARRIVE = "arrive"
    LEAVE_VISIT = "leave visit"
    """The admission was a mistake: its attributes of the visit no longer hold."""
    DELETE = "delete"
    MERGE = "merge"
    CHANGE_ID = "change id"


_E = PatientEvent
PATIENT_EVENTS: Final[dict[str, PatientEvent]] = {
    **dict.fromkeys(("A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A12", "A13"), _E.UPDATE),
    "A10": _E.ARRIVE,
    "A11": _E.LEAVE_VISIT,
    "A23": _E.DELETE,
    "A28": _E.UPDATE,
    "A31": _E.UPDATE,
    "A38": _E.LEAVE_VISIT,
    "A40": _E.MERGE,
    "A47": _E.CHANGE_ID,
}
"""MSH-9.2 of ADT -> what it does (HL7 2.5.1 ch. 3.3)."""


class Rank(IntEnum):
    """How much a statement about a patient weighs; of equal weight the newest counts."""

    ORDER_CHANGE = 0
    """A change of an order repeats what its sender knows (IHE RAD-13: it must not update the patient)."""
    ORDER = 1
    REGISTRATION = 2
    """ADT."""


VISIT: Final = frozenset({
    "AdmissionID", "IssuerOfAdmissionIDSequence", "CurrentPatientLocation", "PregnancyStatus",
    "ConfidentialityConstraintOnPatientDataDescription", "SexParametersForClinicalUseCategorySequence",
})  # fmt: skip
"""What holds for a visit of the patient, not for the patient: an order says it of its own visit, ADT of the present
one."""


@value_class
class Identity:
    """A Patient ID with who gave it (CX-1, CX-4)."""

    patient_id: str
    issuer: str


@dataclass(frozen=True, slots=True)
class PatientStatement:
    """One PID group of an ADT message."""

    place: Place
    event: PatientEvent
    event_at: int
    """EVN-2, else MSH-7, else the time of receipt; microseconds since 1970 UTC."""
    day: str
    """The same as DA in the site's zone."""
    attributes: Attributes
    """Of patient and visit."""
    prior: tuple[Identity, ...] = ()
    """MRG-1: the identities that end (A40, A47)."""
    derived: frozenset[str] = field(default_factory=frozenset)
    """Keywords whose value the message does not state."""
    findings: tuple[Finding, ...] = field(default=(), compare=False)
    """What the message holds and could not be taken over."""

    @property
    def identity(self) -> Identity:
        return identity_of(self.attributes)


def identity_of(attributes: Mapping[str, Any]) -> Identity:
    return Identity(str(attributes["PatientID"]), str(attributes.get("IssuerOfPatientID") or ""))


IDENTITY: Final = frozenset({"PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence"})
"""Which patient it is: what a message says of them says nothing new."""


def values_after(
    attributes: Attributes, stamps: Stamps, stated: Attributes, rank: Rank, at: int
) -> tuple[Attributes, Stamps]:
    """What is known of a patient after a statement: of each attribute the weightiest word, among equals the newest.

    In whatever order the statements come, the result is the same, but for two of one weight and one time. A value
    fills a gap that nobody has spoken of, whatever its weight; None is an explicit null, which deletes.
    """
    known, stamped = dict(attributes), dict(stamps)
    mine = [int(rank), at]
    for keyword, value in stated.items():
        if keyword in IDENTITY:
            continue
        before = stamp_of(stamps, keyword, keyword in attributes)
        if before is not None and before > mine:
            continue
        if value is None:
            known.pop(keyword, None)
        else:
            known[keyword] = value
        stamped[keyword] = mine
    return known, stamped


def first_values(stated: Attributes, rank: Rank, at: int) -> tuple[Attributes, Stamps]:
    """`values_after` of a patient of whom nothing was known."""
    nulls = {keyword: [int(rank), at] for keyword, value in stated.items() if value is None}
    return {keyword: value for keyword, value in stated.items() if value is not None}, {"": [int(rank), at], **nulls}


def stamp_of(stamps: Stamps, keyword: str, there: bool) -> list[int] | None:
    """Of which statement an attribute is, or its absence; None if nothing was stated of it. `there`: it has a value."""
    return stamps.get(keyword) or (stamps.get("") if there else None)


def _with_former(attributes: Attributes, former: Sequence[Sequence[str]]) -> Attributes:
    """The patient with ended identities among Other Patient IDs (0010,1002)."""
    listed: list[Attributes] = list(attributes.get("OtherPatientIDsSequence") or ())
    there = {(one.get("PatientID"), one.get("IssuerOfPatientID", "")) for one in listed}
    for patient_id, issuer in former:
        if (patient_id, issuer) not in there:
            item: Attributes = {"PatientID": patient_id, "TypeOfPatientID": "TEXT"}
            listed.append(item | ({"IssuerOfPatientID": issuer} if issuer else {}))
    return {**attributes, "OtherPatientIDsSequence": listed}


def as_item(
    patient: Attributes, stamps: Stamps, order: Attributes, ordered_at: int, former: Sequence[Sequence[str]] = ()
) -> Attributes:
    """Patient and order as one worklist item says them: of the visit the newer word, unless the order is of another
    visit than the present one. `former`: [patient id, issuer] of the identities that were merged into this one."""
    if former:
        patient = _with_former(patient, former)
    ours, theirs = patient.get("AdmissionID"), order.get("AdmissionID")
    same_visit = not ours or not theirs or ours == theirs
    item = {**patient, **order}
    for keyword in VISIT:
        there = keyword in patient
        if not there and keyword not in stamps:
            continue
        stamp = stamp_of(stamps, keyword, there)
        if stamp is None or (keyword in order and not (same_visit and stamp[1] >= ordered_at)):
            if there and keyword not in order:
                del item[keyword]
        elif there:
            item[keyword] = patient[keyword]
        elif same_visit:
            item.pop(keyword, None)
    return item
