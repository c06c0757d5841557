"""Which instances a destination gets, what its answer to a C-STORE means, and how an instance stands there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Final

from gateway.records.arrival import InstanceArrival
from gateway.records.work import WorkState


@dataclass(frozen=True, slots=True)
class ForwardingRule:
    """A destination, and the instances that it gets: those that meet every list that is not empty."""

    destination: str
    calling_aes: Collection[str] = ()
    modalities: Collection[str] = ()
    sop_classes: Collection[str] = ()

    def takes(self, arrival: InstanceArrival) -> bool:
        """Whether the destination gets the instance."""
        stated = (
            (self.calling_aes, arrival.source_ae),
            (self.modalities, str(arrival.series.get("Modality") or "")),
            (self.sop_classes, arrival.sop_class_uid),
        )
        return all(value in wanted for wanted, value in stated if wanted)


class StoreVerdict(Enum):
    """What becomes of an instance after the answer."""

    DONE = auto()
    RETRY = auto()
    """The receiver has no room for the moment."""
    DOUBT = auto()
    """A failure without a reason: tried a few times."""
    PARK = auto()


DUPLICATE: Final = 0x0111
"""Of PS3.7 C.5.12; not a status of C-STORE, and yet what some archives answer to what they have."""
_OF_STATUS: Final = {
    0x0000: StoreVerdict.DONE,
    DUPLICATE: StoreVerdict.DONE,
    0x0110: StoreVerdict.DOUBT,
    0x0213: StoreVerdict.RETRY,
}
_OUT_OF_RESOURCES: Final = 0xA700
_WARNINGS: Final = {
    0xB000: "coercion of data elements",
    0xB006: "elements discarded",
    0xB007: "data set does not match SOP Class",
    DUPLICATE: "the destination had it already",
}


def store_verdict(status: int) -> StoreVerdict:
    """By the status of a C-STORE-RSP."""
    if status & 0xFF00 == _OUT_OF_RESOURCES:
        return StoreVerdict.RETRY
    return _OF_STATUS.get(status, StoreVerdict.DONE if _is_warning(status) else StoreVerdict.PARK)


def warning_of(status: int) -> str:
    """What the receiver did otherwise than asked, in the words of the standard; empty: nothing."""
    return _WARNINGS.get(status, "a warning" if _is_warning(status) else "")


def _is_warning(status: int) -> bool:
    """The instance is stored all the same (PS3.4 Table B.2-1)."""
    return status & 0xF000 == 0xB000


class ImageStanding(StrEnum):
    """How an instance stands at a destination."""

    SENT = "sent"
    WAITING = "waiting"
    FAILED = "failed"
    """Parked: a person must decide."""
    GIVEN_UP = "given-up"


@dataclass(frozen=True, slots=True)
class ImagesAt:
    """How the instances of a study stand at a destination."""

    destination: str
    numbers: Mapping[ImageStanding, int]
    last_at: int | None
    """When the last answer came, microseconds; None: none has."""
    corrected: Mapping[str, int] = field(default_factory=dict)
    """Keyword of an attribute -> how many instances went with another value than they came."""


STANDING_OF: Final = {
    WorkState.DONE: ImageStanding.SENT,
    WorkState.PENDING: ImageStanding.WAITING,
    WorkState.LEASED: ImageStanding.WAITING,
    WorkState.PARKED: ImageStanding.FAILED,
    WorkState.REJECTED: ImageStanding.FAILED,
    WorkState.GIVEN_UP: ImageStanding.GIVEN_UP,
}
"""State of the newest work -> standing; what was superseded is never the newest."""
