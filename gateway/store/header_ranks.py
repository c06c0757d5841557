"""Which instances of a study are here, and how much of each its source gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, bindparam, select

from gateway.records.arrival import HeaderRank
from gateway.records.identifiers import StudyInstanceUID
from gateway.store.schema import instances, series, studies

_OF_STUDY: Final = (
    select(instances.c.sop_uid, instances.c.header_rank)
    .join(series, series.c.id == instances.c.series)
    .join(studies, studies.c.id == series.c.study)
    .where(studies.c.study_uid == bindparam("the_study"))
)


def of_study(connection: Connection, study_uid: StudyInstanceUID) -> Mapping[str, HeaderRank]:
    """By SOP Instance UID; empty for a study that is not here."""
    return {row.sop_uid: HeaderRank(row.header_rank) for row in connection.execute(_OF_STUDY, {"the_study": study_uid})}
