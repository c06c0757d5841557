"""A study that was entered in error is withdrawn: EHRs are notified, nothing is deleted; and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from gateway.errors import UnknownKey
from gateway.records.identifiers import StudyInstanceUID
from gateway.store import outbox, settling, studies


@dataclass(frozen=True, slots=True)
class WithdrawalReceiver:
    """An EHR that a study concerns."""

    name: str
    holds: bool
    """The study was delivered there."""
    notified: bool
    """A delivery follows. An EHR that is not configured any more gets none."""

    def __str__(self) -> str:
        held = "" if self.holds else " (had nothing of it)"
        return f"{self.name}{held}"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a withdrawal, or its way back, has done."""

    study_uid: StudyInstanceUID
    withdrawn_at: int | None
    """Since when the study is withdrawn, microseconds; None: it counts."""
    changed: bool
    """False: it was so already, and nothing was done."""
    receivers: tuple[WithdrawalReceiver, ...]

    @property
    def deliveries(self) -> int:
        """How many follow when the study is looked at."""
        return sum(one.notified for one in self.receivers)

    def __str__(self) -> str:
        if not self.changed:
            return f"{self._state()} already, nothing was done"
        left = [f"{one.name} holds it and is not configured" for one in self.receivers if not one.notified]
        return "; ".join([self._state(), self._following(), *left])

    def _state(self) -> str:
        if self.withdrawn_at is None:
            return "counts"
        return f"withdrawn since {datetime.fromtimestamp(self.withdrawn_at / 1_000_000, UTC):%Y-%m-%d %H:%M:%SZ}"

    def _following(self) -> str:
        names = ", ".join(str(one) for one in self.receivers if one.notified)
        noun = "delivery follows" if self.deliveries == 1 else "deliveries follow"
        return f"{self.deliveries} {noun}, to {names}" if names else "no EHR is configured, nothing is delivered"


def withdraw(
    connection: Connection,
    study_uid: StudyInstanceUID,
    *,
    ehrs: Sequence[str],
    now: int,
    undo: bool = False,
    person: str = "",
    reason: str = "",
) -> Withdrawal:
    """Mark a study as entered in error, or with `undo` as valid, and let the EHRs that are configured know.

    `now` in microseconds. `person`, `reason`: who wants it, and why; kept while the study is withdrawn. Raises
    `UnknownKey` when no instance of the study has arrived.
    """
    who = {} if undo else {"person": person, "reason": reason}
    changed = studies.withdraw(connection, study_uid, at=None if undo else now, **who)
    row = studies.get(connection, study_uid)
    if row is None:
        raise UnknownKey("there is no such study", place=study_uid)
    if changed:
        settling.ask(connection, study_uid, now=now)
    holding = outbox.receivers_of(connection, study_uid)
    names = dict.fromkeys([*ehrs, *sorted(holding)])
    receivers = tuple(WithdrawalReceiver(name, name in holding, changed and name in ehrs) for name in names)
    return Withdrawal(study_uid, row["withdrawn_at"], changed, receivers)
