"""Studies with their series and instances, page by page, for those who export them; without headers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, func, select, tuple_

from gateway.store.schema import instances, orders, procedures, series, studies
from gateway.store.staying import stays

Rows = Sequence[Any]


class StudyPage(NamedTuple):
    """Studies of some ids, their series and how many instances each series has."""

    studies: Rows
    """With the patient of the order that has the UID, if there is one."""
    series: Rows
    counts: dict[int, int]


_STUDIES: Final = (
    select(
        studies.c.id, studies.c.study_uid, studies.c.accession, studies.c.patient_id, studies.c.patient_issuer,
        studies.c.source_ae, studies.c.attributes, studies.c.first_at, studies.c.last_at, studies.c.settled_at,
        studies.c.withdrawn_at, orders.c.patient.label("ordered_patient"),
        procedures.c.attributes.label("procedure_attributes"),
    )
    .outerjoin(procedures, procedures.c.study_uid == studies.c.study_uid)
    .outerjoin(orders, orders.c.id == procedures.c.order)
    .where(studies.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(studies.c.id)
)  # fmt: skip
_OF_PAGE: Final = series.c.study.in_(bindparam("ids", expanding=True))
_SERIES: Final = (
    select(series.c.id, series.c.study, series.c.series_uid, series.c.attributes).where(_OF_PAGE).order_by(series.c.id)
)
_COUNTS: Final = (
    select(instances.c.series, func.count())
    .join(series, series.c.id == instances.c.series)
    .where(_OF_PAGE, stays())
    .group_by(instances.c.series)
)


def page(connection: Connection, *, ids: Sequence[int]) -> StudyPage:
    """The studies with these ids."""
    values = {"ids": ids}
    counts = {row[0]: row[1] for row in connection.execute(_COUNTS, values)}
    return StudyPage(
        connection.execute(_STUDIES, values).all(), connection.execute(_SERIES, values).all(), counts
    )  # fmt: skip


_INSTANCES: Final = (
    select(
        instances.c.series, instances.c.sop_uid, instances.c.sop_class_uid, instances.c.transfer_syntax_uid,
        instances.c.attributes,
    )
    .where(instances.c.series.in_(bindparam("of_series", expanding=True)), stays())
    .order_by(instances.c.series, instances.c.sop_uid)
)  # fmt: skip
_AFTER: Final = _INSTANCES.where(
    tuple_(instances.c.series, instances.c.sop_uid) > tuple_(bindparam("after_series"), bindparam("after_uid"))
)


def instances_of(
    connection: Connection, of_series: Sequence[int], *, after: tuple[int, str] | None, limit: int
) -> Rows:
    """Instances of these series by series and UID, `limit` of those behind `after`."""
    values: dict[str, Any] = {"of_series": list(of_series)}
    if after is None:
        return connection.execute(_INSTANCES.limit(limit), values).all()
    values |= {"after_series": after[0], "after_uid": after[1]}
    return connection.execute(_AFTER.limit(limit), values).all()
