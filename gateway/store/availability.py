"""Instance Availability Notifications, kept as evidence. Rows are never changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from gateway.errors import DuplicateKey
from gateway.records.availability import Notification
from gateway.store.engine import lock
from gateway.store.schema import availability_notifications

_C = availability_notifications.c


def add(connection: Connection, sop_uid: str, notification: Notification, *, calling_ae: str, now: int) -> None:
    """Keep what a peer has stated. Raises `DuplicateKey`."""
    lock(connection, f"availability|{sop_uid}")
    if connection.execute(select(_C.id).where(_C.sop_uid == sop_uid)).first() is not None:
        raise DuplicateKey("there is a notification with this SOP Instance UID")
    values = {
        "sop_uid": sop_uid,
        "study_uid": notification.study_uid,
        "calling_ae": calling_ae,
        "attributes": notification.attributes,
        "findings": [finding.as_row() for finding in notification.findings],
        "received_at": now,
    }
    connection.execute(insert(availability_notifications), values)


def of_studies(connection: Connection, study_uids: Sequence[str]) -> list[dict[str, Any]]:
    """The notifications about these studies, the oldest first."""
    wanted = select(availability_notifications).where(_C.study_uid.in_(study_uids)).order_by(_C.received_at, _C.id)
    return [dict(row) for row in connection.execute(wanted).mappings()]
