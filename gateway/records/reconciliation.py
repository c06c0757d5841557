"""What archive, gateway and EHRs hold differently: one function for each two sides, each difference as a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order_check import OrderStanding
from gateway.records.work import ACTIVE, WorkState

GATEWAY: Final = "gateway"
"""As a place; the others are names of EHRs."""
ERROR: Final = "entered-in-error"
"""The status of a resource that should not be there."""


class DifferenceKind(StrEnum):
    MISSING = "missing"
    DIFFERENT = "different"
    EXTRA = "extra"


class Repair(StrEnum):
    """What brings both sides together."""

    NONE = ""
    """A person must look."""
    READ = "read"
    """The study is read at its source."""
    SETTLE = "settle"
    """The study is looked at, and delivered."""
    DELIVER = "deliver"
    """What was delivered last is delivered once more."""
    WITHDRAW = "withdraw"
    """The EHR gets its resource as entered in error; only where a person asks for it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A study that is not as it should be at `place`."""

    kind: DifferenceKind
    place: str
    """Where it is missing, different or extra: `gateway`, or the name of an EHR."""
    study_uid: StudyInstanceUID
    reason: str
    """In words, without a value of a patient."""
    repair: Repair = Repair.NONE
    source: str = ""
    """The archive that it was compared with."""


@dataclass(frozen=True, slots=True)
class HeldStudy:
    """A study as the gateway holds it."""

    study_uid: StudyInstanceUID
    instances: int
    """All that arrived, excluded ones too, without those that are of other studies now."""
    is_settled: bool
    order_standing: OrderStanding = OrderStanding.UNKNOWN
    settling: WorkState | None = None
    """Of the newest look at it; None: there is none."""
    has_moved: bool = False
    """All that arrived is of other studies now."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What an EHR was sent of a study."""

    state: WorkState
    """Of the newest delivery."""
    resource: dict[str, Any] | None
    """Of the newest delivery that is done."""

    @property
    def is_in_error(self) -> bool:
        """It was marked as entered in error, so that an EHR may have deleted it as well."""
        return self.resource is not None and self.resource.get("status") == ERROR


@dataclass(frozen=True, slots=True)
class AtEhr:
    """What an EHR holds of a study."""

    copies: int
    differing: Sequence[str] = ()
    """Elements that are not as they were sent; of one copy."""
    in_error: bool = False
    """It is marked as entered in error there, and was not sent so."""


def of_archive(
    source: str, study_uid: StudyInstanceUID, listed: int | None, held: HeldStudy | None, *, was_read: bool = False
) -> Difference | None:
    """A study that the archive lists. `listed`: its number of instances there; None: the archive does not state it.
    `was_read`: the archive's study was read before, so that what is not here any more was taken away here."""
    if held is None and was_read:
        return Difference(
            DifferenceKind.MISSING, GATEWAY, study_uid,
            f"archive {source} has it; it was read before, and erased or refused here", Repair.NONE, source,
        )  # fmt: skip
    if held is None:
        return Difference(
            DifferenceKind.MISSING, GATEWAY, study_uid, f"archive {source} has it, nothing of it came here",
            Repair.READ, source,
        )  # fmt: skip
    if listed is None or listed == held.instances:
        return None
    repair = Repair.READ if listed > held.instances else Repair.NONE
    reason = f"{held.instances} instances came here, archive {source} has {listed}"
    return Difference(DifferenceKind.DIFFERENT, GATEWAY, study_uid, reason, repair, source)


def not_in_archive(sources: str, held: HeldStudy) -> Difference:
    """A study that no archive lists. `sources`: the names of those that were asked, with commas."""
    reason = f"no archive that was asked has it ({sources})"
    return Difference(DifferenceKind.EXTRA, GATEWAY, held.study_uid, reason, Repair.NONE, sources)


def not_in_gateway(ehr: str, study_uid: StudyInstanceUID, *, is_sure: bool) -> Difference:
    """A study that an EHR holds and nobody else knows. `is_sure`: every archive was asked for all of the day."""
    if is_sure:
        reason = "neither the gateway nor an archive that was asked has such a study"
        return Difference(DifferenceKind.EXTRA, ehr, study_uid, reason, Repair.WITHDRAW)
    reason = "the gateway does not have such a study; not every archive was asked for all of that day"
    return Difference(DifferenceKind.EXTRA, ehr, study_uid, reason)


_NEVER_SENT: Final[tuple[tuple[Callable[[HeldStudy], bool], str, Repair], ...]] = (
    (lambda held: held.order_standing is OrderStanding.HELD, "it is held: its order states something else",
     Repair.NONE),
    (lambda held: held.settling is WorkState.PARKED, "its look is parked: a person must decide", Repair.NONE),
    (lambda _: True, "it was never delivered", Repair.SETTLE),
)  # fmt: skip
"""Why an EHR was sent nothing of a study; the first row that fits counts."""
_STUCK: Final = {
    WorkState.PARKED: "its delivery is parked",
    WorkState.REJECTED: "its delivery was rejected",
    WorkState.GIVEN_UP: "a person gave its delivery up",
}
"""State of the newest delivery -> why nothing is sent again without a person."""


def of_ehr(ehr: str, held: HeldStudy, sent: Sent | None, there: AtEhr) -> Difference | None:
    """A study that the gateway holds. None: the EHR has what it should have, or a delivery is under way."""
    waits = held.settling in ACTIVE or (sent is not None and sent.state in ACTIVE)
    if sent is None and not there.copies:
        if waits or held.has_moved:
            return None
        why, repair = next((why, repair) for fits, why, repair in _NEVER_SENT if fits(held))
        return Difference(DifferenceKind.MISSING, ehr, held.study_uid, why, repair)
    if waits or (not there.copies and sent is not None and sent.is_in_error):
        return None
    stuck = _STUCK.get(sent.state) if sent is not None else None
    repair = Repair.NONE if stuck else Repair.DELIVER if sent is not None else Repair.SETTLE
    if not there.copies:
        return Difference(DifferenceKind.MISSING, ehr, held.study_uid, stuck or "it was deleted there", repair)
    if (reason := _unlike(sent, there)) is None:
        return None
    if there.in_error:
        repair = Repair.NONE
    return Difference(
        DifferenceKind.DIFFERENT, ehr, held.study_uid, f"{reason}; {stuck}" if stuck else reason, repair
    )  # fmt: skip


def _unlike(sent: Sent | None, there: AtEhr) -> str | None:
    if there.copies > 1:
        return f"{there.copies} resources have its identifier"
    if sent is None or sent.resource is None:
        return "it was not delivered from here"
    if there.in_error:
        return "it is marked there as entered in error"
    if there.differing:
        return f"not as it was delivered: {', '.join(there.differing)}"
    return None
