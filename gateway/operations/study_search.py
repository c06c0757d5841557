"""Searches for studies, series and instances over the web (PS3.18 10.6): which rows match, and which page of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, NamedTuple

from sqlalchemy import Connection

from gateway.errors import TooLarge
from gateway.records.order import Attributes
from gateway.records.study_search import KEPT, SearchLevel, SearchRow
from gateway.store import rejected_instances, study_search
from gateway.worklist.items import Item, Stored
from gateway.worklist.matching import is_universal, matcher
from gateway.worklist.names import NameMatching
from gateway.worklist.search_conditions import MODALITIES, Selection, selection_of

MOST: Final[Mapping[SearchLevel, int]] = {
    SearchLevel.STUDY: 1_000,
    SearchLevel.SERIES: 2_000,
    SearchLevel.INSTANCE: 5_000,
}
"""Results of one answer."""
COUNTED: Final = 1_000
"""Matches behind a page that are counted."""
LOOKED_AT: Final = 20_000
_BATCH: Final = 500
MATCHED: Final[Mapping[SearchLevel, frozenset[str]]] = {
    level: frozenset[str]({"ModalitiesInStudy"}).union(*(KEPT[one] for one in level.and_above)) for level in SearchLevel
}
"""Keywords of what can be matched at each level: attributes of the level and of those above."""


@dataclass(frozen=True, slots=True)
class StudySearch:
    """What is looked for: `keys` are of `MATCHED` alone."""

    level: SearchLevel
    keys: Item
    fuzzy: bool = False
    offset: int = 0
    limit: int | None = None
    looks_at: int = LOOKED_AT
    """So many rows at most are held against keys for which there is no index."""


class Counts(NamedTuple):
    """What a study shows, without what is excluded or rejected."""

    modalities: tuple[str, ...]
    series: int
    instances: int
    of_series: Mapping[int, int]
    """Row of `series` -> its instances."""


class Found(NamedTuple):
    """A page of matches, and how many are behind it, at most `COUNTED`."""

    rows: Sequence[SearchRow]
    remaining: int
    counts: Mapping[int, Counts]
    """Row of `studies` -> its counts; of instances there are none."""


def search(connection: Connection, wanted: StudySearch) -> Found:
    """Raises `InvalidValue` for a key that is no value of its VR, and `TooLarge` where more rows would have to be
    looked at than one search may."""
    names = NameMatching(fuzzy=wanted.fuzzy)
    matches = matcher(wanted.keys, names, MATCHED[wanted.level])
    selection = selection_of(wanted.keys, fuzzy=wanted.fuzzy)
    limit = MOST[wanted.level] if wanted.limit is None else min(wanted.limit, MOST[wanted.level])
    rows, remaining = _page(connection, wanted, selection, limit) if selection.is_all else ([], 0)
    if not selection.is_all or _rejected(connection, wanted.level, rows):
        rows, remaining = _looked_through(connection, wanted, selection, limit, matches)
    counts = {}
    if wanted.level is not SearchLevel.INSTANCE:
        counts = counts_of(connection, sorted({row.study for row in rows}))
        shown = [row for row in rows if _has_instances(wanted.level, row, counts)]
        if remaining and not shown:
            return _behind(connection, wanted, len(rows), limit)
        rows = shown
    return Found(rows, remaining, counts)


def _behind(connection: Connection, wanted: StudySearch, number: int, limit: int) -> Found:
    """The page behind so many rows, of which everything is rejected: clients take an empty page for the end."""
    further = search(connection, replace(wanted, offset=wanted.offset + number, limit=MOST[wanted.level]))
    rows, left = further.rows[:limit], further.rows[limit:]
    return Found(rows, min(COUNTED, len(left) + further.remaining), further.counts)


def _has_instances(level: SearchLevel, row: SearchRow, counts: Mapping[int, Counts]) -> bool:
    """Not everything of it was rejected."""
    held = counts.get(row.study)
    return held is not None and (level is SearchLevel.STUDY or row.series in held.of_series)


def _page(
    connection: Connection, wanted: StudySearch, selection: Selection, limit: int
) -> tuple[list[SearchRow], int]:  # fmt: skip
    """The page as the database finds it."""
    level, conditions = wanted.level, selection.conditions
    rows = study_search.page(connection, level, conditions, limit=limit, offset=wanted.offset)
    if len(rows) < limit:
        return rows, 0
    behind = wanted.offset + len(rows)
    return rows, study_search.count(connection, level, conditions, offset=behind, most=COUNTED)


def _looked_through(
    connection: Connection,
    wanted: StudySearch,
    selection: Selection,
    limit: int,
    matches: Callable[[Item], bool],
) -> tuple[list[SearchRow], int]:
    """The page by the rules of matching, of rows that the database has selected."""
    page: list[SearchRow] = []
    skipped = remaining = 0
    for row in _matching(connection, wanted, selection, matches, lambda: len(page) < limit):
        if skipped < wanted.offset:
            skipped += 1
        elif len(page) < limit:
            page.append(row)
        else:
            remaining += 1
            if remaining == COUNTED:
                break
    return page, remaining


def _matching(
    connection: Connection,
    wanted: StudySearch,
    selection: Selection,
    matches: Callable[[Item], bool],
    wants_more: Callable[[], bool],
) -> Iterator[SearchRow]:
    after, looked = None, 0
    # One study's instances are a bounded set, which is looked at whole.
    is_bounded = bool(selection.conditions.study_uids)
    while True:
        rows = study_search.page(connection, wanted.level, selection.conditions, limit=_BATCH, after=after)
        rejected = _rejected(connection, wanted.level, rows)
        of_study = _modalities(connection, wanted.keys, rows)
        for row in rows:
            is_rejected = row.sop_uid in rejected.get(row.study, ())
            if not is_rejected and (selection.is_all or matches(_item(row, of_study.get(row.study, ())))):
                yield row
        looked += len(rows)
        if len(rows) < _BATCH:
            return
        if looked >= wanted.looks_at and not is_bounded:
            if wants_more():
                text = "there are too many to look through; narrow the search by UID, Patient ID, number or Study Date"
                raise TooLarge(text, place="search")
            return
        after = rows[-1].place


def _rejected(
    connection: Connection, level: SearchLevel, rows: Sequence[SearchRow]
) -> dict[int, frozenset[str]]:  # fmt: skip
    if level is not SearchLevel.INSTANCE or not rows:
        return {}
    return rejected_instances.of_studies(connection, sorted({row.study for row in rows}))


def _modalities(connection: Connection, keys: Item, rows: Sequence[SearchRow]) -> dict[int, tuple[str, ...]]:
    """Row of a study -> its modalities, where these are asked for."""
    if MODALITIES not in keys or is_universal(keys[MODALITIES]):
        return {}
    counts = counts_of(connection, sorted({row.study for row in rows}))
    return {study: held.modalities for study, held in counts.items()}


def _item(row: SearchRow, modalities: Sequence[str]) -> Item:
    return Stored({**attributes_of(row), "ModalitiesInStudy": list(modalities)})


def attributes_of(row: SearchRow) -> Attributes:
    """What is kept of a row, and of the levels above."""
    stated = {**row.of_study, "StudyInstanceUID": row.study_uid}
    if row.series:
        stated |= {**row.of_series, "SeriesInstanceUID": row.series_uid}
    if row.instance:
        stated |= {**row.of_instance, "SOPInstanceUID": row.sop_uid, "SOPClassUID": row.sop_class_uid}
    return stated


def counts_of(connection: Connection, of_studies: Sequence[int]) -> dict[int, Counts]:
    """Row of `studies` -> what it shows; studies of which everything is excluded or rejected are not there."""
    if not of_studies:
        return {}
    counted = study_search.counts(connection, of_studies)
    rejected = rejected_instances.of_studies(connection, of_studies)
    counts = {}
    for study, held in groupby(sorted(counted, key=lambda one: one.study), key=lambda one: one.study):
        every = {one.series: one for one in held}
        numbers = {row: one.instances for row, one in every.items()}
        if study in rejected:
            for row, number in study_search.count_named(connection, study, rejected[study]).items():
                numbers[row] -= number
        left = {row: number for row, number in numbers.items() if number > 0}
        if left:
            modalities = tuple(sorted({every[row].modality for row in left} - {""}))
            counts[study] = Counts(modalities, len(left), sum(left.values()), left)
    return counts
