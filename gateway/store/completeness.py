"""What is stated of how much a study holds: evidence of its completeness, each piece by its source."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from gateway.records.completeness import Evidence, EvidenceKind
from gateway.records.identifiers import StudyInstanceUID
from gateway.store.engine import lock
from gateway.store.schema import study_evidence
from gateway.store.statement import Statement

_C: Final = study_evidence.c
_OF_STUDY: Final = select(study_evidence).where(_C.study_uid == bindparam("the_study")).order_by(_C.id)
_IS_STATED: Final = Statement(select(_C.id).where(_C.study_uid == bindparam("the_study")).limit(1))
_OF_SOURCE: Final = (
    _C.study_uid == bindparam("the_study"), _C.kind == bindparam("the_kind"), _C.source == bindparam("the_source"),
)  # fmt: skip
_FIND: Final = select(study_evidence).where(*_OF_SOURCE)
_FORGET: Final = delete(study_evidence).where(*_OF_SOURCE)


def record(connection: Connection, study_uid: StudyInstanceUID, evidence: Evidence) -> bool:
    """Keep a piece of evidence in place of what its source has stated of the study before. False, and nothing is
    written, when it states the same.

    The study need not have come yet. Whoever records evidence of a study also lets the study be looked at.
    """
    key = {"the_study": study_uid, "the_kind": evidence.kind.value, "the_source": evidence.source}
    lock(connection, f"evidence|{study_uid}")
    values = {
        "study_uid": study_uid, "kind": evidence.kind.value, "source": evidence.source,
        "sop_uids": sorted(evidence.sop_uids), "series": evidence.series, "instances": evidence.instances,
    }  # fmt: skip
    known = connection.execute(_FIND, key).mappings().first()
    if known is not None:
        if all(known[column] == value for column, value in values.items()):
            return False
        connection.execute(_FORGET, key)
    connection.execute(insert(study_evidence), {**values, "stated_at": evidence.stated_at})
    return True


def is_stated(connection: Connection, study_uid: StudyInstanceUID) -> bool:
    """Whether there is evidence of a study."""
    return _IS_STATED.first(connection, {"the_study": study_uid}) is not None


def of_study(connection: Connection, study_uid: StudyInstanceUID) -> list[Evidence]:
    """All that is stated of a study, in the order in which it came."""
    return [
        Evidence(
            EvidenceKind(row.kind), row.source, row.stated_at, frozenset(row.sop_uids), row.series, row.instances
        )
        for row in connection.execute(_OF_STUDY, {"the_study": study_uid})
    ]  # fmt: skip
