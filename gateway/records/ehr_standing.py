"""How a study stands at the EHRs, as one word for people."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

from gateway.records.work import ACTIVE, STUCK, WorkState


class EhrStanding(StrEnum):
    PARKED = "parked"
    """A delivery is parked or rejected: a person is needed."""
    WAITS = "waits"
    """A delivery is due, under way or paused; or the study is not settled yet."""
    DELIVERED = "delivered"
    WITHDRAWN = "withdrawn"
    """A person withdrew it, whatever was delivered."""
    NOT_SENT = "not sent"
    """No EHR gets it, or what it got was given up."""


STATES_OF: Final[Mapping[EhrStanding, Collection[WorkState]]] = {
    EhrStanding.PARKED: STUCK,
    EhrStanding.WAITS: ACTIVE,
    EhrStanding.DELIVERED: (WorkState.DONE,),
}
"""Of the newest work for any EHR; the first row that has one counts."""


def standing_of(states: Collection[WorkState], *, is_withdrawn: bool) -> EhrStanding:
    """`states`: of the newest delivery of the study to each EHR."""
    if is_withdrawn:
        return EhrStanding.WITHDRAWN
    named = (standing for standing, of in STATES_OF.items() if any(state in of for state in states))
    return next(named, EhrStanding.NOT_SENT)
