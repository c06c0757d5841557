"""What follows from what a study and its orders state differently: a finding, or the study is held for a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gateway.errors import NeedsPerson
from gateway.records.finding import Finding
from gateway.records.order_check import (
    PLACES,
    CheckPolicy,
    FoundConflict,
    Policies,
    conflicts,
    released_among,
)
from gateway.records.rejection import standing
from gateway.records.study import Study


class HeldByOrder(NeedsPerson):
    """A study and its order state different patients, or something else that the site does not let pass."""

    def __init__(self, found: Sequence[FoundConflict]) -> None:
        checks = list(dict.fromkeys(one.conflict.check for one in found))
        names = ", ".join(one.value.replace("_", " ") for one in checks)
        super().__init__(
            f"images and order differ in {names}: compare both, then correct one of them, link the study with another "
            "order, exclude what is not of it, or release it",
            place=PLACES[checks[0]],
        )
        self.details = {"conflicts": [one.value for one in checks]}


def found_of(study: Study, policies: Policies) -> list[FoundConflict]:
    """What a study and its orders state differently, with what persons released before. Nothing of a study that is in
    error as a whole: EHRs must get to know that, whatever its order states."""
    if standing(study).entered_in_error:
        return []
    return released_among(study.checked, list(conflicts(study.images, study.claimed, policies)))


def held(found: Iterable[FoundConflict]) -> HeldByOrder | None:
    """The error of a study that is held; None: it may be delivered."""
    holding = [one for one in found if one.holds]
    return HeldByOrder(holding) if holding else None


def findings_of(found: Iterable[FoundConflict]) -> Iterator[Finding]:
    """What differs, for who reads what the study's resources do not say."""
    for one in found:
        conflict = one.conflict
        ending = ""
        if one.policy is CheckPolicy.HOLD and one.released is not None:
            ending = f"; released by {one.released.person}"
        text = f"{conflict.images!r} in the images, {conflict.ordered!r} in order {conflict.order}{ending}"
        yield Finding(PLACES[conflict.check], text)
