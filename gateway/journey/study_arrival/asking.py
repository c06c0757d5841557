"""What the unit that keeps an instance will read, hold and add: known when the instance has been read."""

from __future__ import annotations

from functools import partial

from gateway.records.arrival import InstanceArrival
from gateway.records.work import SETTLE, Lane
from gateway.store import outbox, study_arrivals
from gateway.store.foreseen import Read
from gateway.store.read_ahead import Asked, is_plain
from gateway.store.study_keys import lock_of


def asked_by(arrival: InstanceArrival) -> Asked | None:
    """What `InstanceKeeping` reads to keep an instance; None where a database may refuse its UIDs."""
    if not is_plain(f"{arrival.study_uid}{arrival.series_uid}{arrival.sop_uid}"):
        return None
    lane = Lane(SETTLE, arrival.study_uid)
    return Asked((), partial(_locks, arrival, lane), partial(_reads, arrival, lane), adds=_ADDS)


_ADDS = ("instances",)


def _locks(arrival: InstanceArrival, lane: Lane) -> tuple[str, ...]:
    return lock_of(arrival.study_uid), str(lane)


def _reads(arrival: InstanceArrival, lane: Lane) -> tuple[Read, ...]:
    return study_arrivals.read_of(arrival), outbox.read_of(lane)
