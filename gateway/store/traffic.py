"""How much came and went between two moments, counted between ids by the indexes; and what happened last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select

from gateway.records.message import WRONG
from gateway.records.work import STUCK, WorkKind, WorkState
from gateway.store.messages import NOT_APPLIED
from gateway.store.schema import messages, outbox, refusals

TABLES: Final = ("messages", "queries", "instances", "outbox")
"""Of `recent.MOMENT_OF`, whose rows are counted."""


class Span(NamedTuple):
    """Rows of a table: from the id `first` up to and without `end`."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What came and went in some time."""

    orders: int = 0
    """HL7 messages."""
    queries: int = 0
    """Of worklists."""
    instances: int = 0
    deliveries: int = 0
    """To receivers: those that were added in this time and are done."""
    errors: int = 0
    """Messages that were not applied, and deliveries that are parked or rejected."""

    @property
    def share_of_errors(self) -> float:
        """Of messages and deliveries, 0 to 1."""
        whole = self.orders + self.deliveries + self.errors
        return self.errors / whole if whole else 0.0


def counted(connection: Connection, spans: dict[str, Span], kinds: Iterable[WorkKind]) -> Counted:
    """What the rows of these spans, one for each of `TABLES`, come to; `kinds`: the work that is a delivery."""
    work, names = spans["outbox"], [str(kind) for kind in kinds]
    wrong = select(func.count()).where(
        messages.c.state.in_(WRONG),
        NOT_APPLIED,
        messages.c.id >= spans["messages"].first,
        messages.c.id < spans["messages"].end,
    )
    return Counted(
        orders=_width(spans["messages"]),
        queries=_width(spans["queries"]),
        instances=_width(spans["instances"]),
        deliveries=_work(connection, names, (WorkState.DONE,), work),
        errors=connection.execute(wrong).scalar_one() + _work(connection, names, STUCK, work),
    )


def _width(span: Span) -> int:
    return max(span.end - span.first, 0)


def _work(connection: Connection, kinds: Sequence[str], states: Iterable[WorkState], span: Span) -> int:
    if not _width(span):
        return 0
    wanted = select(func.count()).where(
        outbox.c.kind.in_(kinds), outbox.c.state.in_([state.value for state in states]),
        outbox.c.id >= span.first, outbox.c.id < span.end,
    )  # fmt: skip
    return connection.execute(wanted).scalar_one()


def last_messages(connection: Connection, *, limit: int) -> list[dict[str, Any]]:
    """`id`, `at`, `listener`, `type`, `state` of the newest messages."""
    wanted = select(
        messages.c.id, messages.c.received_at.label("at"), messages.c.listener, messages.c.type, messages.c.state
    )
    return _newest(connection, wanted.order_by(messages.c.id.desc()).limit(limit))


def last_work(connection: Connection, *, limit: int) -> list[dict[str, Any]]:
    """`id`, `at`, `kind`, `state`, `subject`, `cause` of the work that was added last."""
    at = func.coalesce(outbox.c.finished_at, outbox.c.created_at).label("at")
    wanted = select(
        outbox.c.id, at, outbox.c.kind, outbox.c.state, outbox.c.subject, outbox.c.cause_text.label("cause")
    )
    return _newest(connection, wanted.order_by(outbox.c.id.desc()).limit(limit))


def last_refusals(connection: Connection, *, limit: int) -> list[dict[str, Any]]:
    """`at`, `source`, `reason` of what was refused last."""
    wanted = select(refusals.c.refused_at.label("at"), refusals.c.source, refusals.c.reason)
    return _newest(connection, wanted.order_by(refusals.c.id.desc()).limit(limit))


def _newest(connection: Connection, wanted: Any) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in connection.execute(wanted).mappings()]
