"""A study that is read again: what its instances, series and the study itself state from now on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from gateway.records.agreement import AgreementRules, Stating, Together, of_levels, together
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order import Attributes
from gateway.records.rejection import counting, number_rejected
from gateway.records.study import Instance, Series
from gateway.store import exclusions, moved_instances
from gateway.store.engine import lock
from gateway.store.schema import instances, series, studies
from gateway.store.study_keys import lock_of, series_columns, study_columns

_MEMBERS: Final = (
    select(
        instances.c.id, instances.c.series, instances.c.digest, instances.c.sop_uid, instances.c.sop_class_uid,
        series.c.series_uid,
    )
    .join(series, series.c.id == instances.c.series)
    .where(series.c.study == bindparam("the_study"))
    .order_by(instances.c.id)
)  # fmt: skip


def say_again(
    connection: Connection,
    study_uid: StudyInstanceUID,
    study: int,
    read: Mapping[int, tuple[bytes, Mapping[str, Attributes]]],
    rules: AgreementRules,
) -> bool:
    """Replace what is known of a study: `read` holds, by row of the instance, the digest of the header that was
    read and what it says at each level. Instances that are excluded, rejected or of another study now say nothing of
    study and series; where all of them moved, they say whose study it was.

    As in `study_arrivals.keep`, study and series follow from the instances by `rules`. False, and nothing changed, when
    the study no longer has just these instances with these headers.
    """
    lock(connection, lock_of(study_uid))
    rows = connection.execute(_MEMBERS, {"the_study": study}).all()
    if {row.id: row.digest for row in rows} != {one: digest for one, (digest, _) in read.items()}:
        return False
    members = [(row, Instance(row.sop_uid, row.sop_class_uid, _own(row, read[row.id][1]))) for row in rows]
    for row, instance in members:
        connection.execute(update(instances).where(instances.c.id == row.id), {"attributes": instance.attributes})
    left_out = exclusions.excluded(connection, study_uid)
    kept = [(row, instance) for row, instance in members if (row.series_uid, row.sop_uid) not in left_out]
    moved = moved_instances.rows_of(connection, study_uid)
    if moved:
        kept = [one for one in kept if one[0].id not in moved] or members
    whole = (Series("", {}, tuple(instance for row, instance in kept if row.id not in moved)),)
    counts = {one.uid for one in counting(whole)[0].instances} or {row.sop_uid for row, _ in kept}
    stating = [(row.series, of_levels(row.sop_uid, read[row.id][1], rules)) for row, _ in kept if row.sop_uid in counts]
    _set_levels(connection, study, stating, rules)
    values = {"rejected": number_rejected(whole), "moved": len(moved)}
    connection.execute(update(studies).where(studies.c.id == study), values)
    return True


def _own(row: Any, levels: Mapping[str, Attributes]) -> Attributes:
    """What an instance says of itself; UID and class as they were announced where its header lacks them."""
    return {"SOPInstanceUID": row.sop_uid, "SOPClassUID": row.sop_class_uid, **levels["instance"]}


def _set_levels(
    connection: Connection, study: int, stating: Sequence[tuple[int, Mapping[str, Stating]]], rules: AgreementRules
) -> None:
    """Let a study and its series state what these instances give together: (row of the series, by level) of each."""
    of_series: dict[int, list[Stating]] = {}
    for series_row, levels in stating:
        of_series.setdefault(series_row, []).append(levels["series"])
    for one, stated in of_series.items():
        set_series(connection, one, together(stated, rules.series))
    of_study = together((levels["study"] for _, levels in stating), rules.study)
    connection.execute(update(studies).where(studies.c.id == study), study_columns(of_study))


def set_series(connection: Connection, row: int, stated: Together) -> None:
    """Let a series state this."""
    values = {f"the_{column}": value for column, value in series_columns(stated).items()}
    connection.execute(_SET_SERIES, {"the_id": row, **values})


_SET_SERIES: Final = (
    update(series)
    .where(series.c.id == bindparam("the_id"))
    .values(
        attributes=bindparam("the_attributes", type_=series.c.attributes.type),
        sources=bindparam("the_sources", type_=series.c.sources.type),
        modality=bindparam("the_modality"),
    )
)
