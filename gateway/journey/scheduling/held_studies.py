"""Studies that are held because their order states something else: each news of it lets them be looked at again."""

from __future__ import annotations

from gateway.journey.scheduling.applied import SchedulingWork
from gateway.records.row_ids import PatientRow
from gateway.store import order_conflicts, settling


def look_again(work: SchedulingWork, patient: PatientRow) -> None:
    """Let the studies be looked at that an order of this patient holds: what is known of the patient has changed."""
    for uid in order_conflicts.held_for_patient(work.connection, patient):
        settling.changed(work.connection, uid, now=work.now)
