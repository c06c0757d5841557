"""What is remarkable of a study, as its rows show: parts that could not be read, UIDs that other studies have too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, exists, func, select

from gateway.records.finding import Finding
from gateway.records.identifiers import StudyInstanceUID
from gateway.store.schema import instance_findings, instances, series, studies
from gateway.store.statement import Statement
from gateway.store.staying import stays

MOST: Final = 20
"""Findings of one kind; a person who has read so many knows what to look for."""
_OF_ARRIVAL: Final = Statement(
    select(instances.c.sop_uid, instance_findings.c.findings)
    .select_from(series)
    .join(instances, instances.c.series == series.c.id)
    .join(instance_findings, instance_findings.c.instance == instances.c.id)
    .where(series.c.study == bindparam("the_study"))
    .order_by(instances.c.sop_uid)
    .limit(MOST)
)


def of_arrival(connection: Connection, study: int) -> tuple[Finding, ...]:
    """What could not be read of the study's instances, by SOP Instance UID, at most `MOST` instances."""
    return tuple(
        Finding(one["place"], f"{one['text']} (instance {row['sop_uid']})")
        for row in _OF_ARRIVAL.rows(connection, {"the_study": study})
        for one in row["findings"]
    )


_ONE, _OTHER = series.alias("one"), series.alias("other")
_MEMBER, _TWIN = instances.alias("member"), instances.alias("twin")


def _grouped(shared: Select[Any], number: ColumnElement[Any]) -> Select[Any]:
    """(row, UID, count of distinct `number`) of each study that `_OTHER` belongs to.

    Studies are joined once they are counted: a study that has just grown has a dead row in PostgreSQL for each of its
    instances, which a join would go through for each of them.
    """
    found = (
        shared.add_columns(_OTHER.c.study, func.count(func.distinct(number)).label("number"))
        .where(_ONE.c.study == bindparam("the_study"))
        .group_by(_OTHER.c.study)
        .subquery("found")
    )
    return (
        select(studies.c.id, studies.c.study_uid, found.c.number)
        .join(found, found.c.study == studies.c.id)
        .order_by(studies.c.study_uid)
        .limit(MOST)
    )


_INSTANCES_TOO: Final = _grouped(
    select()
    .select_from(_ONE)
    .join(_MEMBER, _MEMBER.c.series == _ONE.c.id)
    .join(_TWIN, and_(_TWIN.c.sop_uid == _MEMBER.c.sop_uid, _TWIN.c.id != _MEMBER.c.id))
    .join(_OTHER, _OTHER.c.id == _TWIN.c.series)
    .where(stays(_MEMBER), stays(_TWIN)),
    _MEMBER.c.sop_uid,
)
_SERIES_TOO: Final = _grouped(
    select()
    .select_from(_ONE)
    .join(_OTHER, and_(_OTHER.c.series_uid == _ONE.c.series_uid, _OTHER.c.id != _ONE.c.id))
    .where(
        exists().where(_MEMBER.c.series == _ONE.c.id, stays(_MEMBER)),
        exists().where(_TWIN.c.series == _OTHER.c.id, stays(_TWIN)),
    ),
    _ONE.c.series_uid,
)
_SHARED_INSTANCES, _SHARED_SERIES = Statement(_INSTANCES_TOO), Statement(_SERIES_TOO)


def of_shared_uids(connection: Connection, study: int) -> tuple[Finding, ...]:
    """Which other studies have instances or series under UIDs of this one, as of now.

    A UID names one thing for ever (PS3.5 9.1). Of one patient the instance counts in one study
    (`gateway.records.moved_instance`); of different patients no rule knows which study is wrong, and both list it.
    """
    return (*_shared_instances(connection, study), *_shared_series(connection, study))


def shared_by(connection: Connection, study_uid: StudyInstanceUID, *, has_copies: bool = True) -> tuple[Finding, ...]:
    """`of_shared_uids` of the study with this Study Instance UID. `has_copies` False: none of its instances is kept
    more than once, as has just been seen."""
    row = _ROW.first(connection, {"the_uid": study_uid})
    if row is None:
        return ()
    return of_shared_uids(connection, row["id"]) if has_copies else tuple(_shared_series(connection, row["id"]))


_ROW: Final = Statement(select(studies.c.id).where(studies.c.study_uid == bindparam("the_uid")))


def _shared_instances(connection: Connection, study: int) -> Iterator[Finding]:
    for other, uid, count in _SHARED_INSTANCES.found(connection, {"the_study": study}):
        if other == study:
            yield Finding("SOPInstanceUID", f"{_counted(count, 'instance')} in more than one series of this study")
        else:
            yield Finding("SOPInstanceUID", f"{_counted(count, 'instance')} also in study {uid}; both list them")


def _shared_series(connection: Connection, study: int) -> Iterator[Finding]:
    for _, uid, count in _SHARED_SERIES.found(connection, {"the_study": study}):
        yield Finding("SeriesInstanceUID", f"{_counted(count, 'series')} also in study {uid}; both list them")


def _counted(count: int, noun: str) -> str:
    many = noun if noun.endswith("s") else f"{noun}s"
    return f"{count} {noun} is" if count == 1 else f"{count} {many} are"
