"""Instances that an archive moved to another study: the study where they count takes them over when it settles, and the
study where they are kept is delivered anew without them, as entered in error where nothing is left."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from gateway.records.audit import GATEWAY, Action, AuditEvent, AuditKind
from gateway.records.finding import Finding
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.rejection import standing
from gateway.records.study import Study
from gateway.store import audit, moved_instances, settling, studies
from gateway.store.engine import lock
from gateway.store.moved_instances import Found
from gateway.store.study_keys import lock_of


def leave(connection: Connection, study_uid: StudyInstanceUID, before: Found, *, now: int) -> None:
    """Note which instances of a study are of others now, or are no more; who calls this lets the study settle anew.
    `before`: what was found before this transaction."""
    _write(connection, study_uid, _found(connection, study_uid, before).of(study_uid), now=now)


def take_over(connection: Connection, study_uid: StudyInstanceUID, before: Found, *, now: int) -> None:
    """Note which instances of others are of a study that settles now, and let those studies settle anew. `before`: as
    in `leave`."""
    found = _found(connection, study_uid, before)
    _write(connection, study_uid, found, now=now)
    for one in found.studies:
        settling.changed(connection, one, now=now)


def refused(found: Found) -> Iterator[Finding]:
    """What stays in other studies although instances of this one state, or have, the UIDs of instances there."""
    for study_uid, number in found.refused.items():
        verb = "instance stays" if number == 1 else "instances stay"
        yield Finding("PatientID", f"{number} {verb} in study {study_uid}, too, which names another patient")


def is_left(study: Study) -> bool:
    """Whether all that counted of a study is of others now."""
    return bool(study.moved) and not study.withdrawn and standing(study).entered_in_error


def _found(connection: Connection, study_uid: StudyInstanceUID, before: Found) -> Found:
    lock(connection, *map(lock_of, {study_uid, *before.studies}))
    found = moved_instances.find(connection, study_uid)
    lock(connection, *map(lock_of, found.studies))
    return found


def _write(connection: Connection, study_uid: StudyInstanceUID, found: Found, *, now: int) -> None:
    moved_instances.write(connection, found, now=now)
    for former in found.studies:
        own = found.of(former)
        row = studies.get(connection, former)
        patient = row["patient_id"] if row is not None else ""
        others = [one.to_study_uid for one in own.begun or own.ended]
        event = AuditEvent(
            AuditKind.PROCEDURE_RECORD, Action.UPDATE, now, GATEWAY, patients=(patient,) if patient else (),
            studies=tuple(dict.fromkeys((former, *others))), note="instances are of another study now",
            detail={
                "instances": str(len(own.begun)), "instances that are of the first study again": str(len(own.ended)),
            },
        )  # fmt: skip
        audit.record(connection, event)
