"""What persons did to links of performed steps: who, when, what and why. Rows are never changed."""

from __future__ import annotations

from sqlalchemy import Connection, insert

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
