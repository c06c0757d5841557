"""A DICOM study as the gateway holds it: a version-neutral tree, headers only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from gateway.records.finding import Finding
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.moved_instance import MovedInstances
from gateway.records.order import Attributes
from gateway.records.order_check import NOTHING, FoundConflict, Side, TiedOrder
from gateway.records.patient import Identity


class Instance(NamedTuple):
    """A tuple, because a study may have thousands of them."""

    uid: str
    sop_class_uid: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Series:
    uid: str
    attributes: Attributes
    instances: tuple[Instance, ...]


def in_order(instances: Iterable[Instance]) -> tuple[Instance, ...]:
    """Instances by their Instance Number, then by UID, whatever the order in which they came."""
    return tuple(sorted(instances, key=lambda one: (_number(one.attributes.get("InstanceNumber")), one.uid)))


def series_place(uid: str, attributes: Attributes) -> tuple[int, str]:
    """What series are sorted by: Series Number, then UID."""
    return _number(attributes.get("SeriesNumber")), uid


def _number(written: Any) -> int:
    """An IS for sorting; what is no number stands at the end."""
    try:
        return int(written)
    except (TypeError, ValueError):
        return 2**31


@dataclass(frozen=True, slots=True)
class LinkedOrder:
    """The order that a study answers, tied by Study Instance UID or by accession number and patient."""

    accession_number: AccessionNumber
    accession_number_issuer: str
    placer: str
    placer_authority: str
    filler: str
    filler_authority: str
    patient_issuer: str = ""
    """Assigning authority of the Patient ID under which it was ordered."""


@dataclass(frozen=True, slots=True)
class Study:
    uid: StudyInstanceUID
    attributes: Attributes
    """Study- and patient-level attributes, as its instances agree."""
    series: tuple[Series, ...]
    orders: tuple[LinkedOrder, ...] = ()
    revision: int = 0
    """Counts arrivals that changed something; a delivery carries the revision it was built from."""
    foreign: frozenset[str] = frozenset()
    """Accession numbers in its headers that only orders of other patients have."""
    patient: Attributes = field(default_factory=dict)
    """What ADT and orders say of its patient; empty when they say nothing."""
    identities: frozenset[Identity] = frozenset()
    """The patients whom its instances name, as they are called today: a merge makes one of two."""
    withdrawn: bool = False
    """A person has marked the study as entered in error."""
    findings: tuple[Finding, ...] = ()
    """What was remarkable when its instances arrived."""
    rejected: int = 0
    """How many instances that rejection notes call wrong its attributes leave out; `rejection.TO_BE_READ_AGAIN`."""
    moved: tuple[MovedInstances, ...] = ()
    """Instances that are kept in it and are of other studies now; its series are without them."""
    moved_left_out: int = 0
    """How many of these its attributes leave out."""
    images: Side = NOTHING
    """What its images state, as it is compared with orders."""
    claimed: tuple[TiedOrder, ...] = ()
    """The orders to which something of it leads, those of other patients as well."""
    checked: tuple[FoundConflict, ...] = ()
    """What was found before that it and its orders state differently."""


def referenced_orders(series: Iterable[Series]) -> Iterator[Any]:
    """Items of the Request Attributes Sequences of all series and of the Referenced Request Sequences of all
    instances."""
    for one in series:
        yield from one.attributes.get("RequestAttributesSequence") or ()
        for instance in one.instances:
            yield from instance.attributes.get("ReferencedRequestSequence") or ()


Release = Literal["R4", "R5"]
"""FHIR 4.0.1 or 5.0.0."""
Resource = Literal["ImagingStudy", "DocumentReference"]
"""The resource type that an EHR gets for a study."""


CONTAINED_ENDPOINT: Final = "#wado-rs"


@dataclass(frozen=True, slots=True)
class Shape:
    """The form in which an EHR wants a study."""

    release: Release = "R4"
    resource: Resource = "ImagingStudy"
    """A DocumentReference holds a link to a viewer instead of the series."""
    series: bool = True
    """List the series; the counts are there anyway."""
    instances: int | None = None
    """List the instances of studies that have no more than so many; None: of all, 0: of none."""
    endpoint: str = CONTAINED_ENDPOINT
    """The reference to the address where the images are retrieved, where the site has set one: `#...` is contained in
    the study, '' leaves it out."""

    def lists_instances(self, count: int) -> bool:
        return self.instances is None or count <= self.instances


IN_FULL = Shape()
"""R4, with everything that is known."""
