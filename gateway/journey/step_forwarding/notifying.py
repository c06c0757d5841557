"""Puts a notification of a settled study into the outbox, for each destination, in the transaction that settles it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from sqlalchemy import Connection

from gateway.records.availability import online
from gateway.records.digest import digest_of
from gateway.records.step_request import StepRequest
from gateway.records.study import Study
from gateway.records.work import Lane, WorkState, availability_to
from gateway.store import outbox, performed_steps


def queue_notification(connection: Connection, archives: Mapping[str, str], study: Study, *, now: int) -> None:
    """Add a notification in place of those of the study that wait, unless the last states the same.

    `archives`: destination -> Retrieve AE Title. Of a study that was entered in error, or whose instances are of
    others now, nothing is stated.
    """
    if study.withdrawn or not study.series or not archives:
        return
    steps = performed_steps.uids_of_study(connection, study.uid)
    for name, retrieve_ae in archives.items():
        attributes, lane = online(study, retrieve_ae, steps), Lane(availability_to(name), study.uid)
        digest, last = digest_of(attributes).hex(), outbox.latest(connection, lane)
        if last and last["payload"].get("digest") == digest and last["state"] != WorkState.SUPERSEDED:
            continue
        request = StepRequest("N-CREATE", f"2.25.{uuid.uuid4().int}", attributes)
        payload = {**request.as_payload(), "digest": digest}
        outbox.enqueue(connection, lane=lane, payload=payload, due_at=now, now=now, supersede=True)
