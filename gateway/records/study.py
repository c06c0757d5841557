"""A DICOM study as the gateway holds it: a version-neutral tree, headers only."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.records.order import Attributes


@dataclass(frozen=True, slots=True)
class Instance:
    uid: str
    sop_class_uid: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Series:
    uid: str
    attributes: Attributes
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class LinkedOrder:
    """The order that a study answers, tied by Study Instance UID or by accession number and patient."""

    accession: str
    accession_issuer: str
    placer: str
    placer_authority: str
    filler: str
    filler_authority: str
    patient_issuer: str = ""
    """Assigning authority of the Patient ID under which it was ordered."""


@dataclass(frozen=True, slots=True)
class Study:
    uid: str
    attributes: Attributes
    """Study- and patient-level attributes, from the first instance that arrived."""
    series: tuple[Series, ...]
    orders: tuple[LinkedOrder, ...] = ()
    revision: int = 0
    """Counts arrivals that changed something; a delivery carries the revision it was built from."""
