"""Studies, series and instances by what they are searched by: pages, and numbers of what is behind a page.

What is excluded from its study, of another study now, marked as an error or about to be deleted is not there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, or_, select, tuple_

from gateway.records.exclusion import ExcludedLevel
from gateway.records.study_search import Conditions, SearchLevel, SearchRow, SeriesCount
from gateway.store.message_numbers import HIGHEST
from gateway.store.retention.studies import HAS_ITS_NAME
from gateway.store.schema import exclusions, instances, moved_instances, pixel_files, series, studies
from gateway.store.study_keys import LONGEST_NAME

FEW_STUDIES: Final = 1_000
"""So many are looked up by their modality; of more, each is looked at whether it has the modality."""

_in_force: Final = and_(exclusions.c.study_uid == studies.c.study_uid, exclusions.c.ended_at.is_(None))
_is_whole: Final = and_(
    ~exists().where(_in_force).correlate_except(exclusions),
    ~exists().where(moved_instances.c.study_uid == studies.c.study_uid).correlate_except(moved_instances),
)
COUNTING: Final[ColumnElement[bool]] = or_(
    _is_whole,
    ~exists()
    .where(
        _in_force,
        or_(
            and_(exclusions.c.level == ExcludedLevel.SERIES.value, exclusions.c.uid == series.c.series_uid),
            and_(exclusions.c.level == ExcludedLevel.INSTANCE.value, exclusions.c.uid == instances.c.sop_uid),
        ),
    )
    .correlate_except(exclusions)
    & ~exists().where(moved_instances.c.instance == instances.c.id).correlate_except(moved_instances),
)
"""Of an instance joined with its series and study: it is neither excluded (`gateway.records.exclusion.Excluded`) nor of
another study now (`gateway.records.moved_instance`)."""
SHOWN: Final[ColumnElement[bool]] = and_(studies.c.withdrawn_at.is_(None), HAS_ITS_NAME)
"""Of a study: it is not marked as an error, and not about to be deleted."""
_OF_STUDY: Final = (studies.c.id, studies.c.study_uid, studies.c.attributes)
_OF_SERIES: Final = (series.c.id, series.c.series_uid, series.c.attributes)
_OF_INSTANCE: Final = (instances.c.id, instances.c.sop_uid, instances.c.sop_class_uid, instances.c.attributes)
_IN_SERIES: Final = or_(
    _is_whole, exists().where(instances.c.series == series.c.id, COUNTING).correlate(series, studies)
)
_IN_STUDY: Final = or_(
    _is_whole,
    exists().where(series.c.study == studies.c.id, instances.c.series == series.c.id, COUNTING).correlate(studies),
)
_KEYS: Final[dict[SearchLevel, tuple[ColumnElement[Any], ...]]] = {
    SearchLevel.STUDY: (studies.c.study_date, studies.c.id),
    SearchLevel.SERIES: (series.c.id,),
    SearchLevel.INSTANCE: (instances.c.id,),
}
_ORDER: Final[dict[SearchLevel, tuple[ColumnElement[Any], ...]]] = {
    SearchLevel.STUDY: (studies.c.study_date.desc(), studies.c.id.desc()),
    SearchLevel.SERIES: (series.c.id,),
    SearchLevel.INSTANCE: (instances.c.id,),
}
"""Studies of the newest date first, series and instances in order of arrival."""


def page(
    connection: Connection,
    level: SearchLevel,
    wanted: Conditions,
    *,
    limit: int,
    offset: int = 0,
    after: tuple[Any, ...] | None = None,
) -> list[SearchRow]:
    """The next rows that fulfil the conditions: behind `after`, the place of a row, and behind `offset` more."""
    keys = _KEYS[level]
    statement = _columns(level, keys).where(*_conditions(connection, level, wanted))
    if after is not None:
        statement = statement.where(_is_behind(level, keys, after))
    rows = connection.execute(statement.order_by(*_ORDER[level]).offset(offset).limit(limit))
    return [SearchRow(tuple(row[: len(keys)]), *row[len(keys) :]) for row in rows]


def count(connection: Connection, level: SearchLevel, wanted: Conditions, *, offset: int, most: int) -> int:
    """How many rows are behind `offset`, at most `most`."""
    key = _KEYS[level][-1]
    behind = _joined(level, select(key)).where(*_conditions(connection, level, wanted))
    some = behind.order_by(*_ORDER[level]).offset(offset).limit(most).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one())


def _is_behind(
    level: SearchLevel, keys: Sequence[ColumnElement[Any]], after: tuple[Any, ...]
) -> ColumnElement[bool]:  # fmt: skip
    return tuple_(*keys) < after if level is SearchLevel.STUDY else keys[0] > after[0]


def _columns(level: SearchLevel, keys: Sequence[ColumnElement[Any]]) -> Select[Any]:
    columns: tuple[ColumnElement[Any], ...] = _OF_STUDY
    if level is not SearchLevel.STUDY:
        columns = (*columns, *_OF_SERIES)
    if level is SearchLevel.INSTANCE:
        columns = (*columns, *_OF_INSTANCE)
    return _joined(level, select(*keys, *columns))


def _joined(level: SearchLevel, statement: Select[Any]) -> Select[Any]:
    if level is SearchLevel.STUDY:
        return statement.select_from(studies)
    if level is SearchLevel.SERIES:
        return statement.select_from(series).join(studies, studies.c.id == series.c.study)
    of_series = statement.select_from(instances).join(series, series.c.id == instances.c.series)
    return of_series.join(studies, studies.c.id == series.c.study)


def _conditions(connection: Connection, level: SearchLevel, wanted: Conditions) -> Iterator[ColumnElement[bool]]:
    yield SHOWN
    if level is SearchLevel.INSTANCE:
        yield COUNTING
    else:
        yield _IN_STUDY if level is SearchLevel.STUDY else _IN_SERIES
    given = (
        (studies.c.study_uid, wanted.study_uids), (studies.c.patient_id, wanted.patient_ids),
        (studies.c.accession, wanted.accession_numbers), (series.c.series_uid, wanted.series_uids),
        (series.c.modality, wanted.modalities), (instances.c.sop_uid, wanted.sop_uids),
        (instances.c.sop_class_uid, wanted.sop_class_uids),
    )  # fmt: skip
    yield from (column == values[0] if len(values) == 1 else column.in_(values) for column, values in given if values)
    if wanted.name_prefix:
        # An empty key stands for a name that this cannot tell of.
        key, prefix = studies.c.name_key, wanted.name_prefix[:LONGEST_NAME]
        yield or_(and_(key >= prefix, key <= prefix + HIGHEST), key == "")
    if wanted.date_from:
        yield studies.c.study_date >= wanted.date_from
    if wanted.date_to:
        yield and_(studies.c.study_date <= wanted.date_to, studies.c.study_date != "")
    if wanted.modalities_in_study:
        yield _has_modality(connection, wanted.modalities_in_study)


def _has_modality(connection: Connection, modalities: Sequence[str]) -> ColumnElement[bool]:
    of_series = series.alias()
    named = of_series.c.modality.in_(modalities)
    rows = connection.execute(select(of_series.c.study).where(named).limit(FEW_STUDIES + 1)).scalars().all()
    if len(rows) <= FEW_STUDIES:
        return studies.c.id.in_(sorted(set(rows)))
    return exists().where(named, of_series.c.study == studies.c.id)


def counts(connection: Connection, of_studies: Sequence[int]) -> list[SeriesCount]:
    """The series of these rows of `studies`, each with the number of its instances that are not excluded."""
    wanted = (
        select(series.c.study, series.c.id, series.c.modality, func.count(instances.c.id))
        .join(studies, studies.c.id == series.c.study)
        .join(instances, instances.c.series == series.c.id)
        .where(studies.c.id.in_(of_studies), COUNTING)
        .group_by(series.c.study, series.c.id, series.c.modality)
    )
    return [SeriesCount(*row) for row in connection.execute(wanted)]


def headers(connection: Connection, of_instances: Sequence[int]) -> dict[int, tuple[str, bytes, str | None]]:
    """Row of `instances` -> transfer syntax UID of the header, the header (zlib), and the transfer syntax UID of its
    file, where that is kept."""
    file = and_(
        pixel_files.c.instance == instances.c.id, pixel_files.c.removed_at.is_(None), pixel_files.c.missing_at.is_(None)
    )
    wanted = (
        select(
            instances.c.id,
            instances.c.transfer_syntax_uid,
            instances.c.header,
            pixel_files.c.transfer_syntax_uid.label("of_file"),
        )
        .outerjoin(pixel_files, file)
        .where(instances.c.id.in_(of_instances))
    )
    return {
        row.id: (row.transfer_syntax_uid, row.header, row.of_file) for row in connection.execute(wanted)
    }  # fmt: skip


def count_named(connection: Connection, study: int, sop_uids: frozenset[str]) -> dict[int, int]:
    """Row of `series` -> how many of these instances, not excluded, it holds in a row of `studies`."""
    wanted = (
        select(series.c.id, instances.c.sop_uid)
        .join(studies, studies.c.id == series.c.study)
        .join(instances, instances.c.series == series.c.id)
        .where(studies.c.id == study, COUNTING)
    )
    return Counter(row for row, uid in connection.execute(wanted) if uid in sop_uids)
