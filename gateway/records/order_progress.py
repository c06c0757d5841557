"""What an order has come to, from the states of its scheduled steps: what the statuses to its RIS state."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import Final

from gateway.records.imaging_order import Order
from gateway.records.step import StepState


class Progress(StrEnum):
    SCHEDULED = "scheduled"
    """Nothing of it has been performed."""
    STARTED = "started"
    """A step of it is being performed."""
    PARTLY = "partly"
    """Steps of it have ended, others are still to be performed."""
    COMPLETED = "completed"
    DISCONTINUED = "discontinued"
    """All of its steps have ended, none of them completed."""
    CANCELED = "canceled"


_S = StepState
_OPEN: Final = frozenset({_S.SCHEDULED, _S.ARRIVED, _S.READY, _S.HELD})
_ENDED: Final = frozenset({_S.COMPLETED, _S.DISCONTINUED})


def progress_of(order: Order) -> Progress:
    """What the order has come to. A cancelled step counts where every step is cancelled only."""
    return progress_of_states({step.state for procedure in order.procedures for step in procedure.steps})


def progress_of_states(states: Collection[StepState]) -> Progress:
    """What an order with steps in these states has come to; without steps it is scheduled."""
    return next(progress for progress, holds in _rules(states) if holds)


def _rules(states: Collection[StepState]) -> Iterator[tuple[Progress, bool]]:
    """The first that holds."""
    yield Progress.STARTED, _S.STARTED in states
    yield Progress.PARTLY, bool(_OPEN.intersection(states)) and bool(_ENDED.intersection(states))
    yield Progress.SCHEDULED, not states or bool(_OPEN.intersection(states))
    yield Progress.COMPLETED, _S.COMPLETED in states
    yield Progress.DISCONTINUED, _S.DISCONTINUED in states
    yield Progress.CANCELED, True
