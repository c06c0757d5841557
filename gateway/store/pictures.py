"""Which instances of a study have pixels here."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from sqlalchemy import Connection, RowMapping, bindparam, select

from gateway.store.schema import instances, pixel_files, series, studies

_INSTANCE: Final = (
    select(instances.c.id, instances.c.attributes, studies.c.patient_id)
    .join(series, series.c.id == instances.c.series)
    .join(studies, studies.c.id == series.c.study)
    .where(
        studies.c.study_uid == bindparam("the_study"),
        series.c.series_uid == bindparam("the_series"),
        instances.c.sop_uid == bindparam("the_instance"),
    )
)


class Held(NamedTuple):
    """What became of the file of an instance."""

    removed_at: int | None
    missing_at: int | None


def instance_of(connection: Connection, study_uid: str, series_uid: str, sop_uid: str) -> RowMapping | None:
    """The row of an instance: its id, its attributes, and the Patient ID of its study."""
    wanted = {"the_study": study_uid, "the_series": series_uid, "the_instance": sop_uid}
    return connection.execute(_INSTANCE, wanted).mappings().first()


def held(connection: Connection, of_series: int, sop_uids: Collection[str]) -> dict[str, Held]:
    """SOP Instance UID -> its file, of those of a series that came with pixels; as many as are asked for."""
    wanted = (
        select(instances.c.sop_uid, pixel_files.c.removed_at, pixel_files.c.missing_at)
        .join(pixel_files, pixel_files.c.instance == instances.c.id)
        .where(instances.c.series == of_series, instances.c.sop_uid.in_(sop_uids))
    )
    return {row.sop_uid: Held(row.removed_at, row.missing_at) for row in connection.execute(wanted)}
