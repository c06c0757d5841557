"""What is retrieved of a study over the web (PS3.18 10.4): its instances, without what is excluded or rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import Connection

from gateway.errors import Gone, UnknownKey
from gateway.operations.pictures import MISSING, NEVER_CAME, REMOVED
from gateway.store import Store, deleted_studies, rejected_instances, served_instances
from gateway.store.served_instances import FileRow

NO_STUDY: Final = "no instance of this study has arrived"
NO_SERIES: Final = "no instance of this series has arrived"
NO_INSTANCE: Final = "no such instance of this study has arrived, or it is excluded or rejected"
DELETED: Final = "the study was deleted when its time was over"
IN_ERROR: Final = "the study is marked as an error"
_PAGE: Final = 100

Row = TypeVar("Row", bound=Any)
Read = Callable[[Connection, int, str, str, int], list[Row]]
"""A page of a series: `served_instances.headers` or `files`."""


class Target(NamedTuple):
    """What is retrieved: a study, a series or an instance of it."""

    study_uid: str
    series_uid: str = ""
    sop_uid: str = ""


@dataclass(frozen=True, slots=True)
class Located:
    """Where the instances of a target are."""

    target: Target
    patient_id: str
    series: Sequence[tuple[int, str]]
    """(row, Series Instance UID)"""
    not_served: frozenset[str]
    """SOP Instance UIDs that rejection notes name."""


def locate(connection: Connection, target: Target) -> Located:
    """Raises `UnknownKey` for what is not here, `Gone` for what was."""
    study = served_instances.study(connection, target.study_uid)
    if study is None:
        if deleted_studies.get(connection, target.study_uid) is not None:
            raise Gone(DELETED, place="Study Instance UID")
        raise UnknownKey(NO_STUDY, place="Study Instance UID")
    if not study.is_shown:
        raise Gone(IN_ERROR, place="Study Instance UID")
    series = served_instances.series_of(connection, study.id, target.series_uid)
    if not series:
        raise UnknownKey(NO_SERIES, place="Series Instance UID")
    not_served = rejected_instances.of_studies(connection, [study.id]).get(study.id, frozenset())
    located = Located(target, study.patient_id, series, not_served)
    first = next(_rows(connection, located, served_instances.files), None)
    if first is None:
        raise UnknownKey(NO_INSTANCE, place="SOP Instance UID")
    return located


def _rows(connection: Connection, located: Located, read: Read[Row], *, limit: int = _PAGE) -> Any:
    """All rows of the target, page by page."""
    for row, _ in located.series:
        after: str | None = ""
        while after is not None:
            page = read(connection, row, located.target.sop_uid, after, limit)
            yield from (one for one in page if one.sop_uid not in located.not_served)
            after = _next(located, page, limit)


def _next(located: Located, page: Sequence[Any], limit: int) -> str | None:
    """The UID behind which the next page begins; None: there is none."""
    return page[-1].sop_uid if len(page) == limit and not located.target.sop_uid else None


def _page_of(read: Read[Row], where: tuple[int, str, str, int], connection: Connection) -> list[Row]:
    return read(connection, *where)


async def pages(store: Store, located: Located, read: Read[Row]) -> AsyncIterator[tuple[str, list[Row]]]:
    """(Series Instance UID, rows) of the target: a page is read when it is asked for. Raises `Unavailable`."""
    for row, series_uid in located.series:
        after: str | None = ""
        while after is not None:
            page = await store.read(partial(_page_of, read, (row, located.target.sop_uid, after, _PAGE)))
            yield series_uid, [one for one in page if one.sop_uid not in located.not_served]
            after = _next(located, page, _PAGE)


@dataclass(frozen=True, slots=True)
class Files:
    """What of a target can be retrieved with its pixels."""

    located: Located
    kept: Counter[str]
    """Transfer syntax UID -> number of files."""
    absent: Counter[str]
    """Reason -> number of instances."""


def files_of(connection: Connection, target: Target, *, is_there: Callable[[str], bool]) -> Files:
    """`is_there`: whether the spool has a file of this name. Raises `UnknownKey` and `Gone`, also where no instance of
    the target has its pixels here."""
    located = locate(connection, target)
    kept, absent = Counter[str](), Counter[str]()
    for row in _rows(connection, located, served_instances.files, limit=5_000):
        if row.is_kept and is_there(row.file):
            kept[row.transfer_syntax_uid] += 1
        else:
            absent[_absence(row)] += 1
    if not kept:
        reason, _ = absent.most_common(1)[0]
        raise (Gone if set(absent) == {REMOVED} else UnknownKey)(reason, place="pixels")
    return Files(located, kept, absent)


def _absence(row: FileRow) -> str:
    if row.file is None:
        return NEVER_CAME
    return MISSING if row.removed_at is None else REMOVED
