"""A study that was entered in error is withdrawn: EHRs are notified, nothing is deleted; and the way back."""

from __future__ import annotations

from sqlalchemy import Connection

from gateway.store import outbox, studies


def withdraw(connection: Connection, study_uid: str, *, now: int, undo: bool = False) -> bool:
    """Mark a study as entered in error, or with `undo` as valid, and let EHRs know. False: the study was so already.

    `now` in microseconds. Raises `UnknownKey` when no instance of the study has arrived.
    """
    changed = studies.withdraw(connection, study_uid, at=None if undo else now)
    if changed:
        outbox.settle_at(connection, study_uid, due_at=now, now=now)
    return changed
