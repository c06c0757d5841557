"""Which orders are open: a step of theirs has not ended, and they are not forgotten."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import Connection, select

from gateway.records.retention import Limits
from gateway.store.schema import ENDED, procedures, steps


def is_open(connection: Connection, orders: Collection[int], limits: Limits) -> set[int]:
    """Those of `orders` (their rows) that are open."""
    if not orders:
        return set()
    wanted = (
        select(procedures.c.order, steps.c.start_date, steps.c.updated_at)
        .join(steps, steps.c.procedure == procedures.c.id)
        .where(procedures.c.order.in_(sorted(orders)), steps.c.state.not_in(ENDED))
    )
    day = "" if limits.open_before is None else f"{datetime.fromtimestamp(limits.open_before / 1e6, UTC):%Y%m%d}"
    return {
        row.order
        for row in connection.execute(wanted)
        if limits.open_before is None or row.updated_at >= limits.open_before or row.start_date[:8] >= day
    }
