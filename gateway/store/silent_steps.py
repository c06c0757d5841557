"""Performed steps that are IN PROGRESS: when they gave their last sign of life, and since when they give none."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection, func, or_, select, update

from gateway.records.row_ids import PerformedStepRow
from gateway.records.step import StepEvent
from gateway.store.schema import performed_steps, studies, word

_STEPS: Final = performed_steps
_IN_PROGRESS: Final = _STEPS.c.state == word("IN PROGRESS")
"""In the words of the index."""


def quiet_since(
    connection: Connection, moment: int, *, noticed_since: int, after: PerformedStepRow | None, limit: int
) -> list[dict[str, Any]]:
    """The performed steps that are IN PROGRESS and of which no request came since `moment`, in order of their rows from
    the one behind `after`; without those that a rule has ended, or that were noticed before `noticed_since`."""
    is_fresh = or_(_STEPS.c.silent_at.is_(None), _STEPS.c.silent_at >= noticed_since)
    wanted = select(_STEPS).where(_IN_PROGRESS, _STEPS.c.updated_at < moment, _STEPS.c.end_event == "", is_fresh)
    # By an expression: along the ids themselves SQLite would look for a few among all that ever were.
    row = _STEPS.c.id + 0
    if after is not None:
        wanted = wanted.where(row > after)
    return [dict(row) for row in connection.execute(wanted.order_by(row).limit(limit)).mappings()]


def last_image_at(connection: Connection, study_uids: Collection[str]) -> int:
    """When the last image of these studies arrived, microseconds since 1970; 0: none has."""
    wanted = select(func.max(studies.c.last_at)).where(studies.c.study_uid.in_(study_uids))
    return connection.execute(wanted).scalar() or 0


def mark(connection: Connection, row: PerformedStepRow, silent_at: int | None) -> None:
    """Note since when a performed step is known to give no sign of life; None: it gave another."""
    connection.execute(update(_STEPS).where(_STEPS.c.id == row).values(silent_at=silent_at))


def end(connection: Connection, row: PerformedStepRow, ended_at: int) -> None:
    """Note the end that a rule puts. What the modality has stated stays, and it may state more."""
    ended = {"ended_at": ended_at, "end_event": StepEvent.PPS_SILENT.value}
    connection.execute(update(_STEPS).where(_STEPS.c.id == row).values(**ended))


def listing(connection: Connection, *, limit: int) -> list[dict[str, Any]]:
    """The performed steps without a sign of life, ended by rule or not; the newest first."""
    wanted = select(_STEPS).where(_IN_PROGRESS, _STEPS.c.silent_at.is_not(None))
    wanted = wanted.order_by(_STEPS.c.silent_at.desc(), _STEPS.c.id.desc()).limit(limit)
    return [dict(row) for row in connection.execute(wanted).mappings()]


def count(connection: Connection) -> int:
    """How many performed steps give no sign of life, and have not been ended."""
    wanted = select(func.count()).where(_IN_PROGRESS, _STEPS.c.silent_at.is_not(None), _STEPS.c.end_event == "")
    return connection.execute(wanted.select_from(_STEPS)).scalar_one()
