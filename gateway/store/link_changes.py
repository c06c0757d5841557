"""What persons did to links of performed steps: who, when, what and why. Rows are never changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from gateway.records.link_change import LinkChange
from gateway.records.row_ids import PerformedStepRow
from gateway.store.schema import link_changes


def add(connection: Connection, performed_step: PerformedStepRow, change: LinkChange) -> None:
    """Keep what a person did."""
    values = {
        "performed_step": performed_step,
        "order": change.target.order,
        "study_uid": change.target.study_uid,
        "step_id": change.target.step_id,
        "action": change.action.value,
        "person": change.person,
        "reason": change.reason,
        "changed_at": change.changed_at,
    }
    connection.execute(insert(link_changes), values)


def of_steps(connection: Connection, performed_steps: Sequence[PerformedStepRow]) -> list[dict[str, Any]]:
    """What was done to the links of these performed steps, the oldest first."""
    wanted = select(link_changes).where(link_changes.c.performed_step.in_(performed_steps)).order_by(link_changes.c.id)
    return [dict(row) for row in connection.execute(wanted).mappings()]
