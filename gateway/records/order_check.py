"""What a study and the order it is tied to state differently: one row for each check, each difference as a value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from gateway.records.patient import Identity
from gateway.records.performed_matching import is_same_patient
from gateway.records.row_ids import OrderRow
from gateway.records.same_person import is_same_date, is_same_name, is_same_sex


class Check(StrEnum):
    PATIENT_ID = "patient_id"
    BIRTH_DATE = "birth_date"
    NAME = "name"
    SEX = "sex"
    LATERALITY = "laterality"
    MODALITY = "modality"


class CheckPolicy(StrEnum):
    """What a difference leads to."""

    OFF = "off"
    """Nothing: it is not looked for."""
    WARN = "warn"
    """A finding of the study, which is delivered."""
    HOLD = "hold"
    """EHRs get nothing of the study until a person has looked at it."""


class TiedBy(StrEnum):
    """What leads from a study to an order."""

    STUDY = "Study Instance UID"
    FORMER = "former Study Instance UID"
    """As the study, or instances of it, had before."""
    ACCESSION = "accession number"
    REQUEST = "request attributes of a series"
    PERFORMED_STEP = "performed step"
    HAND = "hand"
    """A person linked the two."""


class OrderStanding(StrEnum):
    """How a study stands with its orders, as it was looked at last."""

    UNKNOWN = ""
    LINKED = "linked"
    UNMATCHED = "unmatched"
    """No order is known to be its own."""
    DIFFERS = "differs"
    """It was delivered although the order states something else: as a warning, or because a person released it."""
    HELD = "held"
    """A person must look at it."""


NOBODY: Final = Identity("", "")


@dataclass(frozen=True, slots=True)
class Side:
    """What one of the two states; empty: nothing."""

    patient: Identity = NOBODY
    former: tuple[Identity, ...] = ()
    """Identities that were merged into the patient's."""
    name: str = ""
    birth_date: str = ""
    sex: str = ""
    sides: frozenset[str] = frozenset()
    """Of paired parts of the body: L, R."""
    modalities: frozenset[str] = frozenset()


NOTHING: Final = Side()


@dataclass(frozen=True, slots=True)
class TiedOrder:
    """An order to which something of a study leads, whoever its patient is."""

    row: OrderRow
    tied_by: TiedBy
    side: Side


@dataclass(frozen=True, slots=True)
class Conflict:
    """A difference. `key` tells it from all others of the study: with other values it is another."""

    check: Check
    order: OrderRow
    images: str
    ordered: str

    @property
    def key(self) -> tuple[str, int, str, str]:
        """The parts by which a released conflict is known again."""
        return self.check.value, self.order, self.images, self.ordered


@dataclass(frozen=True, slots=True)
class Released:
    """A person lets a study be delivered in spite of a conflict."""

    person: str
    reason: str
    at: int
    """Microseconds."""


@dataclass(frozen=True, slots=True)
class FoundConflict:
    """A conflict as it was found, with what the site wants of its kind."""

    conflict: Conflict
    policy: CheckPolicy
    since: int = 0
    ended_at: int | None = None
    released: Released | None = None

    @property
    def holds(self) -> bool:
        return self.policy is CheckPolicy.HOLD and self.released is None


@dataclass(frozen=True, slots=True)
class _Row:
    check: Check
    place: str
    """Keyword of the attribute."""
    agree: Callable[[Side, Side], bool]
    """Of images and order, both of which state something."""
    shown: Callable[[Side], str]
    """The value as people compare it; empty: nothing is stated, and nothing contradicts it."""


_ACQUIRED_OTHERWISE: Final = tuple(
    frozenset(group.split()) for group in ("CR DX RG RF", "XA RF", "PT CT", "PT MR", "NM CT", "IO PX DX")
)
"""Modalities of which one is ordered and another is written into the images of the same examination."""


def _agrees_on_modality(images: Side, ordered: Side) -> bool:
    """Whether any of the ordered modalities was used, or one that is written in its place."""
    if images.modalities & ordered.modalities:
        return True
    return any(group & images.modalities and group & ordered.modalities for group in _ACQUIRED_OTHERWISE)


def _agrees_on_patient(images: Side, ordered: Side) -> bool:
    return any(is_same_patient(images.patient, one) for one in (ordered.patient, *ordered.former))


def _identity(side: Side) -> str:
    patient = side.patient
    return f"{patient.patient_id} of {patient.issuer}" if patient.patient_id and patient.issuer else patient.patient_id


CHECKS: Final = (
    _Row(Check.PATIENT_ID, "PatientID", _agrees_on_patient, _identity),
    _Row(
        Check.BIRTH_DATE, "PatientBirthDate", lambda one, other: is_same_date(one.birth_date, other.birth_date),
        lambda side: side.birth_date,
    ),
    _Row(Check.NAME, "PatientName", lambda one, other: is_same_name(one.name, other.name), lambda side: side.name),
    _Row(Check.SEX, "PatientSex", lambda one, other: is_same_sex(one.sex, other.sex), lambda side: side.sex),
    _Row(
        Check.LATERALITY, "Laterality", lambda one, other: bool(one.sides & other.sides),
        lambda side: ", ".join(sorted(side.sides)),
    ),
    _Row(Check.MODALITY, "Modality", _agrees_on_modality, lambda side: ", ".join(sorted(side.modalities))),
)  # fmt: skip
PLACES: Final = {row.check: row.place for row in CHECKS}
"""Check -> keyword of the attribute."""

Policies = Mapping[Check, CheckPolicy]
DEFAULTS: Final[Policies] = {
    Check.PATIENT_ID: CheckPolicy.HOLD,
    Check.BIRTH_DATE: CheckPolicy.HOLD,
    Check.NAME: CheckPolicy.WARN,
    Check.SEX: CheckPolicy.WARN,
    Check.LATERALITY: CheckPolicy.WARN,
    Check.MODALITY: CheckPolicy.WARN,
}
"""Images in the record of a wrong patient are found by nobody who looks for them, and believed by all others: what
identifies a patient holds. Names change and are spelt anew, and what was done may differ from what was ordered."""


def conflicts(images: Side, orders: Iterable[TiedOrder], policies: Policies = DEFAULTS) -> Iterator[FoundConflict]:
    """What images and orders state differently, but for what the site does not look for."""
    for order in orders:
        for row in CHECKS:
            policy = _policy(row.check, images, policies)
            mine, theirs = row.shown(images), row.shown(order.side)
            if policy is not CheckPolicy.OFF and mine and theirs and not row.agree(images, order.side):
                yield FoundConflict(Conflict(row.check, order.row, mine, theirs), policy)


def _policy(check: Check, images: Side, policies: Policies) -> CheckPolicy:
    """Of a check. Of images without a Patient ID the name alone tells whose they are, and so counts as the ID does."""
    policy = policies.get(check, DEFAULTS[check])
    if check is not Check.NAME or images.patient.patient_id:
        return policy
    return max(policy, policies.get(Check.PATIENT_ID, DEFAULTS[Check.PATIENT_ID]), key=list(CheckPolicy).index)


def released_among(held: Iterable[FoundConflict], found: Iterable[FoundConflict]) -> list[FoundConflict]:
    """`found`, each with the release that a person gave the same conflict before."""
    known = {one.conflict.key: one.released for one in held}
    return [replace(one, released=known.get(one.conflict.key)) for one in found]


def is_of_patient(images: Side, order: TiedOrder) -> bool:
    """Whether an order may be linked: of the study's patient, of images that name none, or by a person."""
    return order.tied_by is TiedBy.HAND or not images.patient.patient_id or _agrees_on_patient(images, order.side)


def standing_with(linked: Collection[object], found: Iterable[FoundConflict]) -> OrderStanding:
    """How a study stands with its orders. `linked`: those that its resource refers to."""
    every = list(found)
    if any(one.holds for one in every):
        return OrderStanding.HELD
    if every:
        return OrderStanding.DIFFERS
    return OrderStanding.LINKED if linked else OrderStanding.UNMATCHED


@dataclass(frozen=True, slots=True)
class StudyLink:
    """An order that a person linked with a study, or took away from it."""

    order: OrderRow
    is_linked: bool
    person: str = ""
    reason: str = ""
    changed_at: int = field(default=0, compare=False)
