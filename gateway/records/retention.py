"""How long rows are kept, by kind, and why a row that is old enough stays all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

DAY: Final = 86_400 * 1_000_000
"""Microseconds."""


class RetentionKind(StrEnum):
    """What has an age of its own; the kinds are gone through in this order."""

    QUERIES = "queries"
    REFUSALS = "refusals"
    WORK = "work"
    STUDIES = "studies"
    PERFORMED_STEPS = "performed_steps"
    """Those that belong to no order."""
    ORDERS = "orders"
    """With their procedures, steps, performed steps and messages."""
    MESSAGES = "messages"
    """Those that belong to no order."""
    PATIENTS = "patients"
    """Whom nothing names any more: after the age of orders."""
    AUDIT = "audit"


class Stays(StrEnum):
    """Why a row that is old enough stays."""

    CHANGED = "changed since"
    OPEN = "the order is open"
    IN_PROGRESS = "an examination is in progress"
    UNDELIVERED = "work for it is not done"
    UNSETTLED = "the study has not settled"
    HELD = "on legal hold"
    STUDY = "a study of it is kept"
    ORDER = "an order of it is kept"
    PART = "a part of the order is kept"
    PERSON = "it waits for a person"
    NAMED = "rows that are kept name it"
    NEWEST = "it is the last of its kind for a study or order that is kept"
    FAILED = "it could not be deleted"


@dataclass(frozen=True, slots=True)
class Ages:
    """After how many days the rows of a kind go; a kind without days is kept."""

    days: Mapping[RetentionKind, int] = field(default_factory=dict)
    open_orders_days: int | None = None
    """After which an order that never ended counts as forgotten, not as open; None: it is open for ever."""

    def before(self, kind: RetentionKind, now: int) -> int | None:
        """The moment (microseconds) before which rows of `kind` are old enough; None: they are kept."""
        days = self.days.get(kind)
        return None if days is None else now - days * DAY

    def limits(self, kind: RetentionKind, now: int) -> Limits | None:
        """The moments of one run for `kind`; None: its rows are kept."""
        before = self.before(kind, now)
        if before is None:
            return None
        is_open = None if self.open_orders_days is None else now - self.open_orders_days * DAY
        return Limits(before, is_open, now)


@dataclass(frozen=True, slots=True)
class Limits:
    """Moments in microseconds since 1970 UTC."""

    before: int
    """Rows that were made and changed earlier are old enough."""
    open_before: int | None = None
    """Orders that were changed and scheduled earlier count as forgotten; None: an open order is open for ever."""
    now: int = 0


@dataclass(slots=True)
class Tally:
    """What a run did to the rows of one kind."""

    deleted: Counter[str] = field(default_factory=Counter)
    """Table -> rows."""
    stayed: Counter[str] = field(default_factory=Counter)
    """`Stays` -> rows of the kind's own table."""
    failed: list[str] = field(default_factory=list)
    """Rows that could not be deleted, as `table id: class of the error`; the first of them."""

    def as_json(self) -> dict[str, object]:
        """The form that the database keeps."""
        stayed = {str(why): number for why, number in self.stayed.items()}
        return {"deleted": dict(self.deleted), "stayed": stayed, "failed": self.failed}
