"""Work that waits in the outbox: its states and what moves them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

from gateway.errors import Fate


def digest_of(resource: dict[str, Any]) -> bytes:
    """SHA-256 of what a resource says, whatever the order of its keys."""
    return hashlib.sha256(orjson.dumps(resource, option=orjson.OPT_SORT_KEYS)).digest()


class WorkState(StrEnum):
    PENDING = "pending"
    """Due now or later; also between two tries."""
    LEASED = "leased"
    """A worker is at it until its lease ends."""
    DONE = "done"
    PARKED = "parked"
    """Needs a person: `gateway parked` lists it, `gateway replay` sends it again."""
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    """A later version of the same thing took its place before it was sent."""


class WorkEvent(StrEnum):
    CLAIM = "claim"
    SUCCEED = "succeed"
    FAIL_RETRY = Fate.RETRY.value
    FAIL_PARK = Fate.PARK.value
    FAIL_REJECT = Fate.REJECT.value
    LEASE_ENDS = "lease-ends"
    SUPERSEDE = "supersede"
    REPLAY = "replay"


_S, _E = WorkState, WorkEvent
TRANSITIONS: Final[dict[tuple[WorkState, WorkEvent], WorkState]] = {
    (_S.PENDING, _E.CLAIM): _S.LEASED,
    (_S.PENDING, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.PENDING, _E.REPLAY): _S.PENDING,
    (_S.LEASED, _E.SUCCEED): _S.DONE,
    (_S.LEASED, _E.FAIL_RETRY): _S.PENDING,
    (_S.LEASED, _E.FAIL_PARK): _S.PARKED,
    (_S.LEASED, _E.FAIL_REJECT): _S.REJECTED,
    (_S.LEASED, _E.LEASE_ENDS): _S.PENDING,
    (_S.PARKED, _E.REPLAY): _S.PENDING,
    (_S.PARKED, _E.SUPERSEDE): _S.SUPERSEDED,
    (_S.REJECTED, _E.REPLAY): _S.PENDING,
}
"""A pair that is not here cannot happen: the store refuses it."""

ACTIVE: Final = (_S.PENDING, _S.LEASED)
"""States that hold a lane: later work of the same lane waits."""


@dataclass(frozen=True, slots=True)
class Work:
    """A claimed row of the outbox."""

    id: int
    kind: str
    lane: str
    subject: str
    """Study Instance UID."""
    payload: dict[str, object]
    attempts: int
    """Tries begun before this one, those included that were cut off."""
    lease: str
    created_at: int


SETTLE: Final = "settle"
"""Kind of work: look at a study that has been quiet."""
REQUEST: Final = "request"
"""Kind of work: tell EHRs of an order; its subject is the Study Instance UID of its first procedure."""
SERVE: Final = "serve"
"""Kind of work: keep a study that was settled already for those who read it here; no EHR gets a delivery."""
EHR: Final = "ehr:"
"""Prefix of the kind of work that delivers to an EHR; the EHR's name follows, so that each is worked on apart."""
