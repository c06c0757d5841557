"""What people see of instances that an archive moved to another study, or gave other UIDs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from gateway.operations.answers.journey import Event, JourneyStudy
from gateway.operations.answers.studies import InstancesOfOther, Study
from gateway.records.identifiers import StudyInstanceUID
from gateway.store import moved_instances


def of_study(connection: Connection, study_uid: StudyInstanceUID) -> dict[str, Any]:
    """As `answers.Study` wants it."""
    return {
        "moved_to": [one._asdict() for one in moved_instances.of_study(connection, study_uid)],
        "taken_over": [one._asdict() for one in moved_instances.taken_over_by(connection, study_uid)],
    }


def moved_text(study: Study, other: InstancesOfOther) -> str:
    """What became of instances of a study, up to the UID of the other study."""
    verb = "is" if other.instances == 1 else "are"
    which = "its" if other.instances == study.instance_count else f"{other.instances} of its {study.instance_count}"
    noun = f"{other.instances} " if which == "its" else ""
    instances = "instance" if which == "its" and other.instances == 1 else "instances"
    return f"{which} {noun}{instances} {verb} now of"


def events_of(study: JourneyStudy, *, named: bool) -> Iterator[Event]:
    """What became of instances of a study, and what the study took over."""
    which = f"study {study.study_uid}: " if named else ""
    for one in study.moved_to:
        text = f"{which}{moved_text(study, one)} study {one.study_uid}"
        yield Event(at=one.at, station="study_settling", text=text, level="warn")
    for one in study.taken_over:
        if one.study_uid != study.study_uid:
            noun = "instance" if one.instances == 1 else "instances"
            text = f"{which}took over {one.instances} {noun} of study {one.study_uid}"
            yield Event(at=one.at, station="study_settling", text=text)
