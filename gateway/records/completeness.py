"""Whether a study is complete: what is stated of how much it holds, and the table that decides if it settles."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self

from gateway.value_class import value_class


class EvidenceKind(StrEnum):
    """Who states how much a study holds, and in which form."""

    MPPS_COMPLETED = "mpps completed"
    """The references of a performed step that is COMPLETED (PS3.4 Table F.7.2-1)."""
    MPPS_DISCONTINUED = "mpps discontinued"
    """The same of one that is DISCONTINUED: what it names may never be sent."""
    AVAILABILITY = "availability"
    """The references of an Instance Availability Notification (PS3.4 Annex R)."""
    ARCHIVE_COUNTS = "archive counts"
    """Number of Study Related Series and Instances (0020,1206), (0020,1208), as an archive answers a query."""
    EXPECTED_IMAGES = "expected images"
    """A number that the order or the performed step gives beforehand."""
    COMMITMENT = "commitment"
    """The references of a request for storage commitment (PS3.4 Table J.3-1): a modality may ask for parts."""


class Effect(NamedTuple):
    """What a kind of evidence does to the settling of a study."""

    settles: bool
    """The study settles without waiting to be quiet, once all that is stated is here."""
    holds: bool
    """While something of what is stated is not here, the study waits beyond its quiet time."""


EFFECTS: Final[Mapping[EvidenceKind, Effect]] = {
    EvidenceKind.MPPS_COMPLETED: Effect(settles=True, holds=True),
    EvidenceKind.MPPS_DISCONTINUED: Effect(settles=True, holds=False),
    EvidenceKind.AVAILABILITY: Effect(settles=True, holds=True),
    EvidenceKind.ARCHIVE_COUNTS: Effect(settles=True, holds=True),
    EvidenceKind.EXPECTED_IMAGES: Effect(settles=True, holds=True),
    EvidenceKind.COMMITMENT: Effect(settles=False, holds=True),
}


@value_class
class Evidence:
    """What somebody has stated of how much a study holds."""

    kind: EvidenceKind
    source: str
    """By which it is stated: the SOP Instance UID of the performed step or notification, the Transaction UID, the name
    of the archive. What the same source states later takes the place of what it stated before."""
    stated_at: int
    """Microseconds since 1970 UTC."""
    sop_uids: frozenset[str] = frozenset()
    """The SOP Instance UIDs that are named; none where numbers are stated."""
    series: int | None = None
    """Number of series; None: not stated, which is not 0."""
    instances: int | None = None
    """Number of instances; None: not stated."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What is here of a study."""

    sop_uids: Collection[str]
    """SOP Instance UIDs."""
    series: int
    elsewhere: frozenset[str] = frozenset()
    """SOP Instance UIDs of what is named, and has come in another study."""


class Weighed(NamedTuple):
    """A piece of evidence beside what is here."""

    evidence: Evidence
    stated: int
    """How many instances it states; of one that states series alone, how many series."""
    missing: int
    """How many of these are not here."""
    of_series: bool = False

    @property
    def is_lacking(self) -> bool:
        return self.missing > 0


def weighed(evidence: Evidence, holding: Holding) -> Weighed | None:
    """None where the evidence states nothing, or fewer than are here: whoever counted has not counted all."""
    if evidence.sop_uids:
        missing = evidence.sop_uids.difference(holding.sop_uids, holding.elsewhere)
        return Weighed(evidence, len(evidence.sop_uids), len(missing))
    levels = ((evidence.instances, len(holding.sop_uids), False), (evidence.series, holding.series, True))
    stated = [(wanted, here, of_series) for wanted, here, of_series in levels if wanted is not None]
    if not stated or any(wanted < here for wanted, here, _ in stated):
        return None
    wanted, here, of_series = next((one for one in stated if one[0] > one[1]), stated[0])
    return Weighed(evidence, wanted, wanted - here, of_series)


class Reason(StrEnum):
    """Why a study settles, or still waits."""

    ASKED = "asked"
    """A person wants it now."""
    CHANGED = "changed"
    """No instance has come since it settled: something else of it has changed."""
    EVIDENCE = "evidence"
    """All that is stated is here."""
    LONGEST_WAIT = "longest wait"
    """It has waited for so long after its first instance that it settles in any case."""
    LACKING = "lacking"
    """Something that is stated is not here."""
    QUIET = "quiet"
    """No instance has come for its quiet time."""
    ARRIVING = "arriving"
    """Instances are coming."""


SETTLES: Final = frozenset({Reason.ASKED, Reason.CHANGED, Reason.EVIDENCE, Reason.LONGEST_WAIT, Reason.QUIET})


class Row(NamedTuple):
    """Of the table: what must be so, None: whatever it is."""

    asked: bool | None
    grown: bool | None
    """Instances have come since it settled last."""
    lacking: bool | None
    """Evidence that holds states what is not here."""
    satisfied: bool | None
    """All of some evidence that settles is here, and no performed step is under way."""
    overdue: bool | None
    quiet: bool | None
    reason: Reason


TABLE: Final = (
    Row(True, None, None, None, None, None, Reason.ASKED),
    Row(False, False, None, None, None, None, Reason.CHANGED),
    Row(False, True, False, True, None, None, Reason.EVIDENCE),
    Row(False, True, None, None, True, None, Reason.LONGEST_WAIT),
    Row(False, True, True, None, False, None, Reason.LACKING),
    Row(False, True, False, False, False, True, Reason.QUIET),
    Row(False, True, False, False, False, False, Reason.ARRIVING),
)
"""The first row that fits decides."""


class Times(NamedTuple):
    """How a study stands that may settle, beside the evidence."""

    asked: bool = False
    grown: bool = True
    overdue: bool = False
    quiet: bool = False
    performing: bool = False
    """A performed step of it is under way."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a study settles, and why."""

    reason: Reason
    kind: EvidenceKind | None = None
    """Of the evidence that decides, or of which something is missing."""
    stated: int = 0
    missing: int = 0
    of_series: bool = False
    """As in `Weighed`."""

    @property
    def settles(self) -> bool:
        return self.reason in SETTLES

    def as_row(self) -> dict[str, Any]:
        """The JSON that the store keeps."""
        kind = None if self.kind is None else self.kind.value
        numbers = {"stated": self.stated, "missing": self.missing, "of_series": self.of_series}
        return {"reason": self.reason.value, "kind": kind, **numbers}

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        kind = None if row["kind"] is None else EvidenceKind(row["kind"])
        return cls(Reason(row["reason"]), kind, row["stated"], row["missing"], row["of_series"])


def decided(evidence: Iterable[Evidence], holding: Holding, times: Times) -> Decision:
    """What the table makes of a study."""
    found = [one for each in evidence if (one := weighed(each, holding)) is not None]
    lacking = [one for one in found if one.is_lacking and EFFECTS[one.evidence.kind].holds]
    satisfied = [one for one in found if not one.is_lacking and EFFECTS[one.evidence.kind].settles]
    is_satisfied = bool(satisfied) and not times.performing
    stands = (times.asked, times.grown, bool(lacking), is_satisfied, times.overdue, times.quiet)
    reason = next(row.reason for row in TABLE if _fits(row[:-1], stands))
    telling = lacking if lacking else satisfied if reason is Reason.EVIDENCE else []
    most = max(telling, key=lambda one: (one.missing, one.stated), default=None)
    if most is None or reason in (Reason.ASKED, Reason.CHANGED):
        return Decision(reason)
    return Decision(reason, most.evidence.kind, most.stated, most.missing, most.of_series)


def _fits(wanted: tuple[Any, ...], stands: tuple[bool, ...]) -> bool:
    return all(want is None or want == is_so for want, is_so in zip(wanted, stands, strict=True))
