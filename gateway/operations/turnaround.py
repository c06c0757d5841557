"""How long examinations take from order to examination, and from there to the EHR."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta, tzinfo
from functools import partial
from typing import Final

from sqlalchemy import Connection

from gateway.clock import local_day
from gateway.errors import InvalidValue
from gateway.operations.answers.turnaround import Spread, Turnaround, TurnaroundFigures
from gateway.store import Store, turnaround
from gateway.store.turnaround import Examination

SECOND: Final = 1_000_000
DEFAULT_DAYS: Final = 7


async def figures_of(store: Store, first: str, last: str, *, now: int, zone: tzinfo) -> TurnaroundFigures:
    """Of examinations that began on these days of the site, both included; of the last seven where none is named.

    `first`, `last`: DA, or empty. Raises `InvalidValue` for days in the wrong order, and `Unavailable`.
    """
    until = date.fromisoformat(last) if last else local_day(now, zone)
    since = date.fromisoformat(first) if first else date.fromordinal(max(until.toordinal() - DEFAULT_DAYS + 1, 1))
    if until < since:
        raise InvalidValue("is before the first day", place="last")
    return await store.read(partial(_read, since=since, until=until, zone=zone))


def _read(connection: Connection, *, since: date, until: date, zone: tzinfo) -> TurnaroundFigures:
    begin, end = _begin(since, zone), _begin(until + timedelta(days=1), zone)
    ones, is_cut = turnaround.examinations(connection, begin, end, most=turnaround.MOST)
    days = _Days(zone)
    return TurnaroundFigures(
        first=since.isoformat(), last=until.isoformat(), whole=_of("", ones), is_cut=is_cut,
        by_modality=_grouped(ones, lambda one: one.modality),
        by_station=_grouped(ones, lambda one: one.station),
        by_day=_grouped(ones, lambda one: days.of(one.at)),
    )  # fmt: skip


class _Days:
    """Days of moments that come in their order, mostly on the day of the one before."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._begin = self._end = 0
        self._name = ""

    def of(self, moment: int) -> str:
        if not self._begin <= moment < self._end:
            day = local_day(moment, self._zone)
            self._begin, self._end = _begin(day, self._zone), _begin(day + timedelta(days=1), self._zone)
            self._name = day.isoformat()
        return self._name


def _begin(day: date, zone: tzinfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * SECOND


def _grouped(ones: Iterable[Examination], name: Callable[[Examination], str]) -> list[Turnaround]:
    groups: dict[str, list[Examination]] = {}
    for one in ones:
        groups.setdefault(name(one), []).append(one)
    return [_of(group, groups[group]) for group in sorted(groups)]


def _of(name: str, ones: Sequence[Examination]) -> Turnaround:
    waited = [one.at - one.ordered_at for one in ones if one.ordered_at is not None and one.ordered_at <= one.at]
    taken = [one.in_ehr - one.at for one in ones if one.in_ehr is not None and one.in_ehr >= one.at]
    return Turnaround(name=name, examinations=len(ones), order_to_exam=_spread(waited), exam_to_ehr=_spread(taken))


def _spread(micros: Iterable[int]) -> Spread:
    lengths = sorted(micros)
    return Spread(number=len(lengths), median_seconds=_share(lengths, 0.5), p90_seconds=_share(lengths, 0.9))


def _share(lengths: Sequence[int], share: float) -> float | None:
    """The length which that share does not exceed, in seconds, between its two neighbours where it lies there."""
    if not lengths:
        return None
    place = share * (len(lengths) - 1)
    low = int(place)
    high = min(low + 1, len(lengths) - 1)
    return (lengths[low] + (lengths[high] - lengths[low]) * (place - low)) / SECOND
