"""Studies of whose images a performed step tells: a link that is made or taken away later concerns them too."""

from __future__ import annotations

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.journey.performed_step.consequences import Change
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.performed_step import items_of, scheduled_items
from gateway.store import scheduled_steps, settling


def look_again(connection: Connection, change: Change, *, clock: Clock) -> None:
    """Let the studies of a performed step be looked at whose links a late order or a person changed. Of what modalities
    state themselves, images come afterwards and find the order."""
    if change.request is not None or not change.links:
        return
    now, stated = clock(), change.step.attributes
    named = [item.study_uid for item in scheduled_items(stated)]
    of_series = [str(one.get("SeriesInstanceUID") or "") for one in items_of(stated.get("PerformedSeriesSequence"))]
    uids = [*(one.study_uid for one in change.links), *named]
    for uid, _ in scheduled_steps.imaged(connection, study_uids=uids, series_uids=of_series):
        settling.changed(connection, StudyInstanceUID(uid), now=now)
