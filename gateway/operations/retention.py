"""Deleting by age: one run over all kinds, in small units of the writer beside the work, and what a run would do."""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select

from gateway.clock import Clock
from gateway.errors import Unavailable
from gateway.observe import metrics
from gateway.operations.retention_pace import FIRST_ROWS, MOST_ROWS, Beside, Pace
from gateway.records.retention import Ages, Limits, RetentionKind, Stays, Tally
from gateway.store import Store, audit, audit_positions, free_space, recent, retention_runs
from gateway.store.retention.messages import MESSAGES
from gateway.store.retention.orders import ORDERS
from gateway.store.retention.patients import PATIENTS
from gateway.store.retention.performed_steps import PERFORMED_STEPS
from gateway.store.retention.plain import QUERIES, REFUSALS
from gateway.store.retention.rule import Rule
from gateway.store.retention.studies import MOST_INSTANCES, STUDIES
from gateway.store.retention.work import WORK
from gateway.store.schema import audit as audit_rows

log = logging.getLogger(__name__)

RULES: Final[Mapping[RetentionKind, Rule]] = {
    rule.kind: rule for rule in (QUERIES, REFUSALS, WORK, STUDIES, PERFORMED_STEPS, ORDERS, MESSAGES, PATIENTS)
}
"""All kinds but the audit trail, which is shortened at its beginning."""
PAGE: Final = 500
"""Rows that are judged in one read."""
NOTE_SECONDS: Final = 2.0
UNTRIED_MICROS: Final = 7 * 86_400_000_000
"""A repository to which nobody has tried to send for a week keeps no row of the audit trail."""
MOST_NAMED: Final = 100
"""Rows that could not be deleted and are named."""


class Ended(NamedTuple):
    """A run that went through all kinds."""

    tallies: dict[RetentionKind, Tally]
    bytes_before: int | None
    bytes_after: int | None
    can_shrink: bool


@dataclass(slots=True)
class RetentionRun:
    """One run. `pause`: waits while it must not work, such as outside of the site's hours."""

    store: Store
    ages: Ages
    clock: Clock
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)
    pace: Pace = field(default_factory=Pace)
    wait: Callable[[], Any] | None = None
    """Called between units with nothing; a coroutine that ends when the run may go on."""
    tallies: dict[RetentionKind, Tally] = field(default_factory=dict)
    _beside: Beside = field(init=False)
    _run: int = 0
    _noted: float = 0.0
    _kind: str = ""

    def __post_init__(self) -> None:
        self._beside = Beside(self.store, self.pace, self.wait)

    async def run(self) -> Ended:
        """Delete what is old enough, of each kind. Raises `Conflict` (another process runs) or `Unavailable`."""
        space = await self.store.read_long(free_space.measured)
        before = space.bytes if space is not None else None
        begin = partial(retention_runs.begin, holder=self.holder, now=self.clock(), bytes_before=before)
        self._run = await self.store.write(begin)
        metrics.RETENTION_RUNNING.set(1)
        try:
            for kind in RetentionKind:
                limits = self.ages.limits(aged_as(kind), self.clock())
                if limits is not None:
                    await self._of_kind(kind, limits)
            await self._give_back()
            after = await self.store.read_long(free_space.measured)
            await self._note(ended=True, bytes_after=after.bytes if after is not None else None)
        finally:
            metrics.RETENTION_RUNNING.set(0)
        return Ended(
            self.tallies, before, after.bytes if after is not None else None, after is None or after.can_shrink
        )

    async def _of_kind(self, kind: RetentionKind, limits: Limits) -> None:
        self._kind = kind.value
        tally = self.tallies.setdefault(kind, Tally())
        self._beside.rows = FIRST_ROWS
        if kind is RetentionKind.AUDIT:
            await self._audit(tally, limits)
        else:
            await self._rule(RULES[kind], tally, limits)
        for why, number in tally.stayed.items():
            metrics.RETENTION_STAYS.labels(kind.value, Stays(why).name.lower()).set(number)
        await self._note()

    async def _audit(self, tally: Tally, limits: Limits) -> None:
        before = min(limits.before, await self.store.read_long(partial(_first_unsent, now=self.clock())))
        while number := await self._beside.write(
            partial(audit.forget_before, moment=before, now=self.clock(), limit=MOST_ROWS)
        ):
            self._count(RetentionKind.AUDIT, tally, Counter({"audit": number}))

    async def _rule(self, rule: Rule, tally: Tally, limits: Limits) -> None:
        end = await self._beside.read(partial(end_of, rule=rule, before=limits.before))
        after = 0
        while page := await self._beside.read(partial(rule.page, after=after, end=end, limit=PAGE)):
            after = page[-1]
            judged = await self._beside.read(partial(judged_rows, rule=rule, ids=page, limits=limits))
            tally.stayed.update(judged.stays.values())
            going = [one for one in page if one not in judged.stays]
            while going:
                some = _some(going, judged.weights, self._beside.rows)
                going = going[len(some) :]
                await self._delete(rule, some, tally, limits)
            await self._note_in_time()

    async def _delete(self, rule: Rule, ids: Sequence[int], tally: Tally, limits: Limits) -> None:
        """Delete a few rows; where that fails, each alone, so that one does not keep the others."""
        try:
            await self._unit(rule, ids, tally, limits)
        except Unavailable:
            raise
        except Exception as error:
            if len(ids) > 1:
                for one in ids:
                    await self._delete(rule, [one], tally, limits)
                return
            name = f"{rule.table.name} {ids[0]}: {type(error).__name__}"
            log.warning("retention: %s; the row is left, the others are not", name)
            tally.stayed[Stays.FAILED] += 1
            metrics.RETENTION_FAILED.labels(rule.kind.value).inc()
            if len(tally.failed) < MOST_NAMED:
                tally.failed.append(name)

    async def _unit(self, rule: Rule, ids: Sequence[int], tally: Tally, limits: Limits) -> None:
        while True:
            deleted, stays = await self._beside.write(partial(rule.deleted, ids=ids, limits=limits), rows=len(ids))
            tally.stayed.update(stays)
            self._count(rule.kind, tally, deleted)
            await self._note_in_time()
            left = partial(rule.has_left, ids=ids, stays=sum(stays.values()))
            if rule.weigh is None or not await self._beside.read(left):
                return

    def _count(self, kind: RetentionKind, tally: Tally, deleted: Counter[str]) -> None:
        tally.deleted.update(deleted)
        for table, number in deleted.items():
            metrics.RETENTION_DELETED.labels(kind.value, table).inc(number)

    async def _give_back(self) -> None:
        """Shorten the file by its free pages."""
        self._kind, beside = "space", self._beside
        space = await self.store.read_long(free_space.measured)
        if space is None or not space.can_shrink:
            return
        beside.rows = free_space.PAGES_AT_ONCE
        while await beside.write(lambda connection: free_space.give_back(connection, beside.rows), rows=beside.rows):
            await self._note_in_time()

    async def _note_in_time(self) -> None:
        if time.monotonic() - self._noted >= NOTE_SECONDS:
            await self._note()

    async def _note(self, *, ended: bool = False, bytes_after: int | None = None) -> None:
        self._noted = time.monotonic()
        unit = partial(
            retention_runs.note, run=self._run, holder=self.holder, now=self.clock(), kind=self._kind,
            tallies=self.tallies, ended=ended, bytes_after=bytes_after,
        )  # fmt: skip
        await self.store.write(unit)


def aged_as(kind: RetentionKind) -> RetentionKind:
    """Patients have no age of their own."""
    return RetentionKind.ORDERS if kind is RetentionKind.PATIENTS else kind


def end_of(connection: Connection, rule: Rule, before: int) -> int:
    """The id behind the last row that may be old enough."""
    if rule.moment is None:
        return int(connection.execute(select(func.max(rule.key))).scalar() or 0) + 1
    return recent.first_since(connection, rule.table.name, before)


class Judged(NamedTuple):
    """Of a page of rows."""

    stays: Mapping[int, Stays]
    weights: Mapping[int, int]


def judged_rows(connection: Connection, rule: Rule, ids: Sequence[int], limits: Limits) -> Judged:
    """Which of these rows stay and why, and how many rows hang on each."""
    stays = rule.judge(connection, ids, limits)
    return Judged(stays, rule.weigh(connection, ids) if rule.weigh is not None else {})


def _some(ids: Sequence[int], weights: Mapping[int, int], rows: int) -> Sequence[int]:
    """The first of `ids`, at most `rows` with all that hangs on them, and at least one."""
    if not weights:
        return ids[:rows]
    number, whole = 0, 0
    for one in ids[:rows]:
        whole += 1 + weights.get(one, 0)
        if number and whole > min(MOST_INSTANCES, 10 * rows):
            break
        number += 1
    return ids[:number]


def _first_unsent(connection: Connection, now: int) -> int:
    """When the first row of the audit trail was made that a repository has not got yet; 2**62: all have all."""
    least = audit_positions.least_sent(connection, tried_since=now - UNTRIED_MICROS)
    if least is None:
        return 2**62
    first = select(audit_rows.c.moment).where(audit_rows.c.sequence > least).order_by(audit_rows.c.sequence).limit(1)
    return int(connection.execute(first).scalar() or 2**62)
