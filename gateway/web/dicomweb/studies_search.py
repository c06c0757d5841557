"""Search for studies, series and instances (PS3.18 10.6, QIDO-RS)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

from aiohttp import web

from gateway.long_work import beside, with_pauses
from gateway.operations.audit.access import searched, subjects_of
from gateway.operations.study_search import MATCHED, Counts, Found, StudySearch, attributes_of, search
from gateway.records.study_search import RETURNED, RETURNED_IF_KNOWN, SearchLevel, SearchRow
from gateway.store import study_search
from gateway.web.dicomweb.context import ServedStudies, base_uri, studies_of, study_uids_of
from gateway.web.dicomweb.header_items import item_of
from gateway.web.dicomweb.representations import preferred, writer
from gateway.web.dicomweb.search_response import in_utf_8, paths_of, search_response
from gateway.web.dicomweb.study_addresses import STUDIES, address_of
from gateway.web.login import person_of
from gateway.wire.dicomweb import warnings
from gateway.wire.dicomweb.dataset import keyword_of, tag_named, vr_of
from gateway.wire.dicomweb.media_types import RESULTS, MediaType
from gateway.wire.dicomweb.search import Search, read
from gateway.worklist.items import Element, Item, Stored, of_identifier
from gateway.worklist.matching import STUDY_UID, is_universal
from gateway.worklist.results import Selection, Wanted, selected, selection, whole
from gateway.worklist.search_conditions import SERIES_UID

_BATCH: Final = 100
_FRAMES: Final = 0x00280008
_PER_FRAME: Final = 0x52009230
"""Per-frame Functional Groups Sequence: an item for each frame, where Number of Frames is missing."""
_IN_PATH: Final = {"study": STUDY_UID, "series": SERIES_UID}
_COUNTED: Final = frozenset(
    {
        "ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
        "NumberOfSeriesRelatedInstances",
    }
)  # fmt: skip
"""What is not counted for results that are instances."""


async def search_studies(request: web.Request) -> web.Response:
    """One result for each study."""
    return await _search(request, SearchLevel.STUDY)


async def search_series(request: web.Request) -> web.Response:
    """One result for each series, of a study or of all."""
    return await _search(request, SearchLevel.SERIES)


async def search_instances(request: web.Request) -> web.Response:
    """One result for each instance, of a series, of a study or of all."""
    return await _search(request, SearchLevel.INSTANCE)


async def _search(request: web.Request, level: SearchLevel) -> web.Response:
    studies = studies_of(request)
    media_type, *_ = preferred(request, RESULTS)
    asked = read(request.query.items())
    keys, left_out = _keys(request, level, asked)
    also = [warnings.not_matched(left_out)] if left_out else []
    if asked.limit == 0:
        return search_response(request, asked, media_type, [], 0, also)
    wanted = StudySearch(level, keys, asked.fuzzy, asked.offset, asked.limit)
    async with studies.reading:
        found = await studies.store.read(partial(search, wanted=wanted))
        written = await _written(request, studies, asked, wanted, media_type, found)
    address = request.path_qs if request.query_string else request.path
    subjects = subjects_of({"studies": [_audited(row) for row in found.rows]})
    studies.note(searched(person_of(request), address, subjects, studies.clock()))
    return search_response(request, asked, media_type, written, found.remaining, also)


def _audited(row: SearchRow) -> dict[str, str]:
    return {"study_uid": row.study_uid, "patient_id": str(row.of_study.get("PatientID") or "")}


def _keys(request: web.Request, level: SearchLevel, asked: Search) -> tuple[dict[int, Element], list[str]]:
    """What is matched, with the UIDs of the path; and the keywords of keys that are left out. Raises `InvalidValue`."""
    stated = of_identifier(asked.keys)
    keys = {tag: key for tag, key in stated.items() if key.keyword in MATCHED[level]}
    left_out = [key.keyword for tag, key in stated.items() if tag not in keys and not is_universal(key)]
    for part, uid in study_uids_of(request).items():
        tag = _IN_PATH[part]
        keys[tag] = Element(tag, "UI", keyword_of(tag), (uid,))
    return keys, sorted(left_out)


async def _written(
    request: web.Request,
    studies: ServedStudies,
    asked: Search,
    wanted: StudySearch,
    media_type: MediaType,
    found: Found,
) -> list[bytes]:
    shape = _shape(request, asked, wanted)
    write = writer(media_type)
    base = f"{base_uri(request)}{STUDIES}"

    def batch(rows: Sequence[SearchRow], headers: Mapping[int, Any]) -> list[bytes]:
        return [write(shape(_result(row, base, found, headers))) for row in with_pauses(rows)]

    written: list[bytes] = []
    for at in range(0, len(found.rows), _BATCH):
        rows = found.rows[at : at + _BATCH]
        headers: Mapping[int, Any] = {}
        if wanted.level is SearchLevel.INSTANCE:
            of_rows = [row.instance for row in rows]
            headers = await studies.store.read(partial(study_search.headers, of_instances=of_rows))
        written += await beside(partial(batch, rows, headers))
    return written


def _shape(request: web.Request, asked: Search, wanted: StudySearch) -> Callable[[Item], Item]:
    """Cuts out of what is known of a row what a result of the search has."""
    required = _required(wanted.level, request.match_info.keys())
    if asked.all_fields:
        always: Selection = tuple(required[tag] for tag in sorted(required))
        return lambda item: in_utf_8(whole(item, required=always))
    paths = (*asked.fields, *paths_of(of_identifier(asked.keys)))
    chosen = selection(paths, required=required)
    return lambda item: in_utf_8(selected(item, chosen))


def _required(level: SearchLevel, in_path: Collection[str]) -> dict[int, Wanted]:
    """The attributes of the level, and of those above that the path does not name (PS3.18 10.6.3.3)."""
    levels = [one for one in level.and_above if one is level or one.value not in in_path]
    returned = {keyword for one in levels for keyword in RETURNED[one]}
    known = {keyword for one in levels for keyword in RETURNED_IF_KNOWN[one]}
    if level is SearchLevel.INSTANCE:
        returned -= _COUNTED
    returned |= {"StudyInstanceUID"} | ({"SeriesInstanceUID"} if level is not SearchLevel.STUDY else set())
    made = {tag: Wanted(tag) for one in known if (tag := tag_named(one)) is not None}
    return made | {tag: Wanted(tag, vr_of(tag)) for one in returned if (tag := tag_named(one)) is not None}


def _result(row: SearchRow, base: str, found: Found, headers: Mapping[int, Any]) -> Item:
    """All that is known of a row."""
    stated = attributes_of(row)
    address = address_of(base, row.study_uid, row.series_uid, row.sop_uid)
    computed = {"RetrieveURL": address, **_counted(row, found.counts.get(row.study))}
    if row.instance not in headers:
        return Stored({**stated, **computed})
    syntax, header, of_file = headers[row.instance]
    computed["InstanceAvailability"] = "ONLINE" if of_file else "UNAVAILABLE"
    of_header = item_of(header, syntax)
    if _FRAMES not in of_header and (frames := of_header.get(_PER_FRAME)) is not None:
        computed["NumberOfFrames"] = str(len(frames.items))
    if of_file:
        computed["AvailableTransferSyntaxUID"] = of_file
    return {**Stored(stated), **of_header, **Stored(computed)}


def _counted(row: SearchRow, counts: Counts | None) -> dict[str, Any]:
    if counts is None:
        return {}
    of_study = {
        "ModalitiesInStudy": list(counts.modalities),
        "NumberOfStudyRelatedSeries": str(counts.series),
        "NumberOfStudyRelatedInstances": str(counts.instances),
    }
    return of_study | ({"NumberOfSeriesRelatedInstances": str(counts.of_series[row.series])} if row.series else {})
