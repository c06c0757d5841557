"""Headers and files of a study's instances, page by page: by their UIDs within each series, by an index."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, select

from gateway.records.order import Attributes
from gateway.store.schema import instances, pixel_files, series, studies
from gateway.store.study_search import COUNTING, SHOWN


class StudyRow(NamedTuple):
    id: int
    patient_id: str
    is_shown: bool
    """It is neither marked as an error nor about to be deleted."""


class HeaderRow(NamedTuple):
    """An instance with its header."""

    sop_uid: str
    sop_class_uid: str
    attributes: Attributes
    transfer_syntax_uid: str
    header: bytes
    """zlib."""


class FileRow(NamedTuple):
    """An instance, and what became of its file: all of it is None where its pixels never came."""

    sop_uid: str
    file: str | None
    transfer_syntax_uid: str | None
    removed_at: int | None
    missing_at: int | None

    @property
    def is_kept(self) -> bool:
        return self.file is not None and self.removed_at is None and self.missing_at is None


_STUDY: Final = select(studies.c.id, studies.c.patient_id, SHOWN)
_HEADER: Final = (
    instances.c.sop_uid, instances.c.sop_class_uid, instances.c.attributes, instances.c.transfer_syntax_uid,
    instances.c.header,
)  # fmt: skip
_FILE: Final = (
    instances.c.sop_uid, pixel_files.c.file, pixel_files.c.transfer_syntax_uid, pixel_files.c.removed_at,
    pixel_files.c.missing_at,
)  # fmt: skip


def study(connection: Connection, study_uid: str) -> StudyRow | None:
    row = connection.execute(_STUDY.where(studies.c.study_uid == study_uid)).first()
    return None if row is None else StudyRow(row[0], row[1], bool(row[2]))


def series_of(connection: Connection, of_study: int, series_uid: str) -> list[tuple[int, str]]:
    """(row, Series Instance UID) of the series of a study, or of this one."""
    wanted = select(series.c.id, series.c.series_uid).where(series.c.study == of_study).order_by(series.c.id)
    if series_uid:
        wanted = wanted.where(series.c.series_uid == series_uid)
    return [(row[0], row[1]) for row in connection.execute(wanted)]


def headers(connection: Connection, of_series: int, sop_uid: str, after: str, limit: int) -> list[HeaderRow]:
    """The next instances of a row of `series` behind a SOP Instance UID; `sop_uid`: that one alone."""
    wanted = select(*_HEADER).select_from(instances)
    return [HeaderRow(*row) for row in connection.execute(_page(wanted, of_series, sop_uid, after, limit))]


def files(connection: Connection, of_series: int, sop_uid: str, after: str, limit: int) -> list[FileRow]:
    """The same, with what became of their files."""
    wanted = (
        select(*_FILE).select_from(instances).outerjoin(pixel_files, pixel_files.c.instance == instances.c.id)
    )  # fmt: skip
    return [FileRow(*row) for row in connection.execute(_page(wanted, of_series, sop_uid, after, limit))]


def _page(wanted: Select[Any], of_series: int, sop_uid: str, after: str, limit: int) -> Select[Any]:
    here = instances.c.sop_uid == sop_uid if sop_uid else instances.c.sop_uid > after
    return (
        wanted.join(series, series.c.id == instances.c.series)
        .join(studies, studies.c.id == series.c.study)
        .where(instances.c.series == of_series, here, COUNTING)
        .order_by(instances.c.sop_uid)
        .limit(limit)
    )
