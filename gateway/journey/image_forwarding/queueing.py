"""Puts an instance into the outbox, for each destination that gets it, in the transaction that keeps its file."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from gateway.records.arrival import InstanceArrival
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.image_forwarding import ForwardingRule
from gateway.records.work import Lane, images_to
from gateway.store import outbox


def queue_instance(
    connection: Connection, arrival: InstanceArrival, instance: int, *, rules: Sequence[ForwardingRule]
) -> None:
    """Add the instance (its row) for each destination whose rule takes it, in place of what waits of it there: an
    instance that came again with other contents is sent with these alone."""
    payload = {
        "instance": instance, "study": arrival.study_uid, "patient": str(arrival.study.get("PatientID") or ""),
    }  # fmt: skip
    now = arrival.received_at
    for rule in rules:
        if rule.takes(arrival):
            lane = Lane(images_to(rule.destination), StudyInstanceUID(arrival.sop_uid))
            outbox.enqueue(connection, lane=lane, payload=payload, due_at=now, now=now, supersede=True)
