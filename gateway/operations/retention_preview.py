"""What a run of retention would do."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection, func, select

from gateway.operations.retention import PAGE, RULES, aged_as, end_of, judged_rows
from gateway.records.retention import Ages, RetentionKind, Tally
from gateway.store import Store
from gateway.store.schema import audit as audit_rows


async def preview(store: Store, ages: Ages, now: int) -> dict[RetentionKind, Tally]:
    """What a run would delete (rows of the kind's own table) and why the rest would stay. Changes nothing.

    What goes only because other rows go before it is counted as staying. Raises `Unavailable`.
    """
    tallies: dict[RetentionKind, Tally] = {}
    for kind in RetentionKind:
        limits = ages.limits(aged_as(kind), now)
        if limits is None:
            continue
        tally = tallies.setdefault(kind, Tally())
        if kind is RetentionKind.AUDIT:
            tally.deleted["audit"] = await store.read_long(partial(_old_audit, before=limits.before))
            continue
        rule = RULES[kind]
        end, after = await store.read_long(partial(end_of, rule=rule, before=limits.before)), 0
        while page := await store.read_long(partial(rule.page, after=after, end=end, limit=PAGE)):
            after = page[-1]
            stays = (await store.read_long(partial(judged_rows, rule=rule, ids=page, limits=limits))).stays
            tally.stayed.update(stays.values())
            tally.deleted[str(rule.table.name)] += len(page) - len(stays)
    return tallies


def _old_audit(connection: Connection, before: int) -> int:
    wanted = select(func.count()).select_from(audit_rows).where(audit_rows.c.moment < before)
    return int(connection.execute(wanted).scalar_one())
