"""Archive against gateway against EHRs: what is missing, different or extra, day by day, and the repair.

Of a day at a time is held what is compared. Nothing is repaired before all of it was read.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta, tzinfo
from functools import partial
from typing import Any, Final, TypeVar

from gateway.clock import Clock
from gateway.errors import GatewayError, Unavailable
from gateway.journey.study_arrival.sources.day_range import DayLister, ListedDay
from gateway.observe import metrics
from gateway.operations.reconcile_ehr import EhrSide, is_kept_on
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.reconciliation import (
    Difference,
    HeldStudy,
    Repair,
    not_in_archive,
    not_in_gateway,
    of_archive,
    of_ehr,
)
from gateway.store import Store, reconciliations, reconciling
from gateway.store.chunks import chunks

PAGE: Final = 200
"""Studies that are read, or repaired, in one transaction."""
TRIES: Final = 3
T = TypeVar("T")
Held = dict[StudyInstanceUID, HeldStudy]


async def pause(tried: int) -> None:
    """Between two tries of a request."""
    await asyncio.sleep(2.0**tried)


@dataclass(frozen=True, slots=True)
class Span:
    """The Study Dates that are compared, both included."""

    since: date
    until: date

    @property
    def days(self) -> list[date]:
        return [self.since + timedelta(days=number) for number in range((self.until - self.since).days + 1)]


@dataclass(slots=True)
class Report:
    """What a run has shown so far."""

    span: Span
    studies: int = 0
    """Studies of the gateway that were compared."""
    days: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(where, kind) -> differences."""
    repaired: int = 0
    notes: dict[str, None] = field(default_factory=dict)
    """What could not be looked at, in the order in which it was met."""

    @property
    def differences(self) -> int:
        return sum(self.counts.values())

    def as_json(self) -> dict[str, Any]:
        """Numbers and notes, nothing of a study."""
        return {
            "since": self.span.since.isoformat(), "until": self.span.until.isoformat(), "days": self.days,
            "studies": self.studies, "differences": self.differences, "repaired": self.repaired,
            "counts": [{"where": place, "kind": kind, "count": n} for (place, kind), n in sorted(self.counts.items())],
            "notes": list(self.notes),
        }  # fmt: skip


@dataclass(slots=True)
class Reconciliation:
    """One run. `wait`: the pause before the second and third try of a request that failed for the moment."""

    store: Store
    archives: Sequence[DayLister]
    ehrs: Sequence[EhrSide]
    clock: Clock
    wait: Callable[[int], Awaitable[None]] = pause
    zone: tzinfo = UTC
    """Of the site, whose days Study Dates are."""
    is_every_archive: bool = True
    """No archive was left out by a person."""
    left_out: Sequence[str] = ()
    """Archives that cannot be compared, and why."""
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)

    async def run(
        self,
        report: Report,
        *,
        fix: bool = False,
        withdraw_extra: bool = False,
        progress: Callable[[date], None] = lambda _day: None,
    ) -> AsyncGenerator[Difference]:
        """The differences as they are met; with `fix`, their repair is queued once all have been.

        Raises `Conflict` while another process compares, and what archives and EHRs raise: then nothing is repaired.
        """
        report.notes |= dict.fromkeys(self.left_out)
        begin = partial(reconciliations.begin, holder=self.holder, now=self.clock(), outcome=report.as_json())
        row = await self.store.write(begin)
        failure = "it was ended"
        mending: list[Difference] = []
        try:
            async for one in self._days(row, report, progress):
                if fix and one.repair is not Repair.NONE:
                    mending.append(one)
                yield one
            report.repaired = await self._repair(mending, withdraw_extra=withdraw_extra)
            failure = ""
        except GatewayError as error:
            failure = str(error)
            raise
        finally:
            for archive in self.archives:
                await archive.close()
            await self._note(row, report, failure)
            if not failure:
                _show(report, self.clock())

    async def _days(self, row: int, report: Report, progress: Callable[[date], None]) -> AsyncGenerator[Difference]:
        for day in report.span.days:
            async for one in self._day(day, report):
                report.counts[one.place, one.kind.value] += 1
                yield one
            report.days += 1
            progress(day)
            await self._note(row, report)

    async def _note(self, row: int, report: Report, failure: str | None = None) -> None:
        await self.store.write(
            partial(
                reconciliations.note, run=row, holder=self.holder, now=self.clock(), outcome=report.as_json(),
                failure=failure,
            )
        )  # fmt: skip

    async def _day(self, day: date, report: Report) -> AsyncGenerator[Difference]:
        listed = {one.name: await one.day(day, self.clock()) for one in self.archives}
        held: Held = await self.store.read_long(partial(reconciling.of_day, day=day))
        report.studies += len(held)
        for name, one in listed.items():
            if one.note:
                report.notes.setdefault(f"{name}: {one.note}")
            async for difference in self._with_archive(name, one, held):
                yield difference
        for difference in self._extra(listed, held):
            yield difference
        for ehr in self.ehrs:
            async for difference in self._with_ehr(ehr, day, held, listed, report):
                yield difference

    async def _with_archive(self, name: str, listed: ListedDay, held: Held) -> AsyncGenerator[Difference]:
        others: Held = {}
        for some in chunks([uid for uid in listed.instances if uid not in held], PAGE):
            # An archive may have corrected the date of a study.
            others |= await self.store.read_long(partial(reconciling.named, uids=some))
        lacking: dict[StudyInstanceUID, bool] = {}
        for some in chunks([uid for uid in listed.instances if uid not in held and uid not in others], PAGE):
            lacking |= await self.store.read_long(partial(reconciling.lacking, source=name, uids=some))
        for uid, instances in listed.instances.items():
            here = held.get(uid) or others.get(uid)
            if here is None and uid not in lacking:
                continue
            if difference := of_archive(name, uid, instances, here, was_read=lacking.get(uid, False)):
                yield difference

    def _extra(self, listed: dict[str, ListedDay], held: Held) -> Iterable[Difference]:
        """Studies that no archive has, where all archives were asked for all of the day."""
        if not self._is_whole(listed):
            return
        names = ", ".join(listed)
        for uid, one in held.items():
            if not one.has_moved and not any(uid in archive.instances for archive in listed.values()):
                yield not_in_archive(names, one)

    def _is_whole(self, listed: dict[str, ListedDay]) -> bool:
        """Whether the archives that are asked gave all of the day, and there are some."""
        return bool(listed) and not any(one.is_narrowed or listed[one.name].note for one in self.archives)

    async def _with_ehr(
        self, ehr: EhrSide, day: date, held: Held, listed: dict[str, ListedDay], report: Report
    ) -> AsyncGenerator[Difference]:
        there: Counter[StudyInstanceUID] = Counter()
        unlike: dict[StudyInstanceUID, Difference] = {}
        known = set(held).union(*(one.instances for one in listed.values()))
        strange: dict[StudyInstanceUID, None] = {}
        async for page in self._listed(ehr, day, report):
            there.update(uid for uid, _ in page)
            unlike |= await self._unlike(ehr, [(held[uid], one) for uid, one in page if uid in held])
            strange |= {uid: None for uid, one in page if uid not in known and is_kept_on(one, day, self.zone)}
        for uid, one in unlike.items():
            if there[uid] == 1:
                yield one
        for some in chunks([uid for uid in held if there[uid] != 1], PAGE):
            sent = await self.store.read_long(partial(reconciling.sent_to, ehr=ehr.name, uids=some))
            for uid in some:
                found = await self._tried(partial(ehr.find, uid))
                if difference := of_ehr(ehr.name, held[uid], sent.get(uid), ehr.compared(sent.get(uid), found)):
                    yield difference
        async for difference in self._unknown(
            ehr, list(strange), is_sure=self.is_every_archive and self._is_whole(listed)
        ):
            yield difference

    async def _unlike(
        self, ehr: EhrSide, page: Sequence[tuple[HeldStudy, dict[str, Any]]]
    ) -> dict[StudyInstanceUID, Difference]:
        uids = [one.study_uid for one, _ in page]
        sent = await self.store.read_long(partial(reconciling.sent_to, ehr=ehr.name, uids=uids))
        found = {}
        for here, resource in page:
            last = sent.get(here.study_uid)
            if difference := of_ehr(ehr.name, here, last, ehr.compared(last, [resource])):
                found[here.study_uid] = difference
        return found

    async def _listed(
        self, ehr: EhrSide, day: date, report: Report
    ) -> AsyncGenerator[list[tuple[StudyInstanceUID, dict[str, Any]]]]:
        if not ehr.lists:
            report.notes.setdefault(f"{ehr.name}: {ehr.why_not}; studies that it has too many are not looked for")
            return
        async for page in ehr.listed(day, self._tried):
            yield page

    async def _unknown(
        self, ehr: EhrSide, uids: Sequence[StudyInstanceUID], *, is_sure: bool
    ) -> AsyncGenerator[Difference]:
        for some in chunks(uids, PAGE):
            known = await self.store.read_long(partial(reconciling.known, uids=some))
            for uid in some:
                if uid not in known:
                    yield not_in_gateway(ehr.name, uid, is_sure=is_sure)

    async def _tried(self, ask: Callable[[], Awaitable[T]]) -> T:
        for tried in range(TRIES - 1):
            try:
                return await ask()
            except Unavailable:
                await self.wait(tried)
        return await ask()

    async def _repair(self, mending: Sequence[Difference], *, withdraw_extra: bool) -> int:
        repaired = 0
        for some in chunks(mending, PAGE):
            repaired += await self.store.write(partial(reconciling.repair, differences=some, now=self.clock()))
        if withdraw_extra:
            repaired += await self._withdraw([one for one in mending if one.repair is Repair.WITHDRAW])
        return repaired

    async def _withdraw(self, extra: Sequence[Difference]) -> int:
        sides = {one.name: one for one in self.ehrs}
        number = 0
        for one in extra:
            for resource in (await self._tried(partial(sides[one.place].find, one.study_uid)))[:1]:
                unit = partial(
                    reconciling.withdraw, ehr=one.place, study_uid=one.study_uid, resource=resource, now=self.clock()
                )
                number += await self.store.write(unit)
        return number


def _show(report: Report, now: int) -> None:
    metrics.RECONCILED_AT.set(now / 1e6)
    metrics.RECONCILE_DIFFERENCES.clear()
    for (place, kind), number in report.counts.items():
        metrics.RECONCILE_DIFFERENCES.labels(place, kind).set(number)
