"""A request of a modality about a performed step, and what an MPPS SCP's answer to it calls for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum, auto
from typing import Any, Final, Literal, Self

from gateway.records.order import Attributes

Operation = Literal["N-CREATE", "N-SET"]


@dataclass(frozen=True, slots=True)
class StepRequest:
    """As the modality has made it; sequences are whole."""

    operation: Operation
    sop_uid: str
    attributes: Attributes

    def as_payload(self) -> dict[str, Any]:
        """JSON for the outbox."""
        return asdict(self)

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Self:
        """The request that `as_payload` wrote."""
        return cls(payload["operation"], payload["sop_uid"], payload["attributes"])


class RequestVerdict(Enum):
    """What an answer calls for."""

    DONE = auto()
    RETRY = auto()
    """The peer is at its limits; the same request may succeed later."""
    DOUBT = auto()
    """A failure without a reason: it may pass, so that some tries are made before a person is asked."""
    ASK = auto()
    """The peer may have the request already: an N-GET tells."""
    PARK = auto()
    """A person must decide."""


WARNINGS: Final = frozenset({0x0001, 0x0107, 0x0116})
"""Done, with a reservation (PS3.7 C.4)."""
VERDICTS: Final[Mapping[tuple[str, int], RequestVerdict]] = {
    ("N-CREATE", 0x0111): RequestVerdict.ASK,  # duplicate SOP Instance: also after an answer that was lost
    ("N-SET", 0xA710): RequestVerdict.ASK,  # as Error ID: the step may no longer be updated
}
OF_BOTH: Final[Mapping[int, RequestVerdict]] = {
    0x0110: RequestVerdict.DOUBT,  # processing failure
    0x0213: RequestVerdict.RETRY,  # resource limitation
}
"""PS3.7 10.1.3 and 10.1.5, PS3.4 Table F.7.2-2. All other failures (0105, 0106, 0112, 0117 to 0124, 0210 to 0212) stay
what they are however often they are asked for."""


def verdict(operation: Operation, status: int, error_id: int | None) -> RequestVerdict:
    """By operation, Status and Error ID."""
    if status == 0x0000 or status in WARNINGS or status >> 12 == 0xB:
        return RequestVerdict.DONE
    for code in (error_id, status):
        if code is not None and (found := VERDICTS.get((operation, code))) is not None:
            return found
    if status >> 8 == 0xA7:
        return RequestVerdict.RETRY
    return OF_BOTH.get(status, RequestVerdict.PARK)
