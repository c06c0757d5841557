"""What is stated of how much a study holds: evidence of its completeness, each piece by its source."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from gateway.records.completeness import Evidence, EvidenceKind
from gateway.records.identifiers import StudyInstanceUID
from gateway.store.engine import lock
from gateway.store.foreseen import Read
from gateway.store.schema import study_evidence
from gateway.store.statement import Statement

_C: Final = study_evidence.c
_OF_STUDY: Final = Statement(select(study_evidence).where(_C.study_uid == bindparam("the_study")).order_by(_C.id))
_IS_STATED: Final = Statement(select(_C.id).where(_C.study_uid == bindparam("the_study")).limit(1))
_OF_SOURCE: Final = (
    _C.study_uid == bindparam("the_study"), _C.kind == bindparam("the_kind"), _C.source == bindparam("the_source"),
)  # fmt: skip
_FIND: Final = Statement(
    select(study_evidence).where(*_OF_SOURCE), about=lambda values, _rows: (("study", values["the_study"]),)
)
_ADD: Final = Statement(
    insert(study_evidence),
    ("study_uid", "kind", "source", "sop_uids", "series", "instances", "stated_at"),
    touches=lambda values: (("study", values["study_uid"]),),
)
_FORGET: Final = delete(study_evidence).where(*_OF_SOURCE)


def record(connection: Connection, study_uid: StudyInstanceUID, evidence: Evidence) -> bool:
    """Keep a piece of evidence in place of what its source has stated of the study before. False, and nothing is
    written, when it states the same.

    The study need not have come yet. Whoever records evidence of a study also lets the study be looked at.
    """
    _, key = read_of(study_uid, evidence.kind, evidence.source)
    lock(connection, lock_of(study_uid))
    values = {
        "study_uid": study_uid, "kind": evidence.kind.value, "source": evidence.source,
        "sop_uids": sorted(evidence.sop_uids), "series": evidence.series, "instances": evidence.instances,
    }  # fmt: skip
    known = _FIND.first(connection, key)
    if known is not None:
        if all(known[column] == value for column, value in values.items()):
            return False
        connection.execute(_FORGET, key)
    _ADD.add_later(connection, {**values, "stated_at": evidence.stated_at})
    return True


def lock_of(study_uid: str) -> str:
    """What is held while evidence of a study is looked for and written."""
    return f"evidence|{study_uid}"


def read_of(study_uid: str, kind: EvidenceKind, source: str) -> Read:
    """What `record` reads."""
    return _FIND, {"the_study": study_uid, "the_kind": kind.value, "the_source": source}


def is_stated(connection: Connection, study_uid: StudyInstanceUID) -> bool:
    """Whether there is evidence of a study."""
    return _IS_STATED.first(connection, {"the_study": study_uid}) is not None


def of_study(connection: Connection, study_uid: StudyInstanceUID) -> list[Evidence]:
    """All that is stated of a study, in the order in which it came."""
    return [
        Evidence(
            EvidenceKind(row["kind"]), row["source"], row["stated_at"], frozenset(row["sop_uids"]), row["series"],
            row["instances"],
        )
        for row in _OF_STUDY.rows(connection, {"the_study": study_uid})
    ]  # fmt: skip
