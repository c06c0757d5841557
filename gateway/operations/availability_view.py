"""Instance Availability Notifications as people see them: as values, and as events of a journey."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection

from gateway.operations.answers.answer import listed
from gateway.operations.answers.availability import JourneyNotification
from gateway.operations.answers.journey import Event
from gateway.operations.performed_steps_view import MOST_MISSING
from gateway.records.availability import available_instances, performed_steps_of
from gateway.store import availability, studies


def of_studies(connection: Connection, study_uids: Sequence[str]) -> list[JourneyNotification]:
    """The notifications about these studies, the oldest first."""
    rows = availability.of_studies(connection, study_uids)
    arrived = studies.arrived(connection, study_uids) if rows else set()
    return [_answer(row, arrived) for row in rows]


def _answer(row: dict[str, Any], arrived: Collection[str]) -> JourneyNotification:
    named = available_instances(row["attributes"])
    missing = [one.sop_uid for one in named if one.sop_uid not in arrived]
    evidence = {
        "named": len(named),
        "availability": Counter(one.availability for one in named),
        "retrieve_aes": list(dict.fromkeys(one.retrieve_ae for one in named if one.retrieve_ae)),
        "performed_steps": performed_steps_of(row["attributes"]),
        "arrived": len(named) - len(missing),
        "missing": missing[:MOST_MISSING],
    }
    return JourneyNotification.model_validate({**row, **evidence})


def event_of(notification: JourneyNotification) -> Event:
    """What the archive stated, when the gateway received it."""
    counted = ", ".join(f"{count} {how or 'unstated'}" for how, count in notification.availability.items())
    source = f" from {', '.join(notification.retrieve_aes)}" if notification.retrieve_aes else ""
    text = f"{notification.calling_ae} states instances available: {counted or 'none'}{source}"
    if notification.named:
        missing = ", ".join(notification.missing)
        more = notification.named - notification.arrived - len(notification.missing)
        text += f"; arrived here: {notification.arrived}"
        text += (f", missing: {missing}" if missing else "") + (f" and {more} more" if more else "")
    text += listed(notification.findings)
    return Event(at=notification.received_at, station="instance_availability", text=text)
