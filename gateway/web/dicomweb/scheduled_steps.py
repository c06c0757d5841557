"""Search of Modality Scheduled Procedure Steps (PS3.18 14.4): the worklist over the web."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from aiohttp import web

from gateway.errors import GatewayError
from gateway.journey.worklist.query import Page, Query
from gateway.records.row_ids import StepRow
from gateway.web.dicomweb.context import CONTEXT
from gateway.web.dicomweb.login import OWN, SCANNER, check_service
from gateway.web.dicomweb.representations import preferred, writer
from gateway.web.dicomweb.search_response import in_utf_8, paths_of, search_response
from gateway.web.dicomweb.step_results import results_of
from gateway.wire.dicomweb import dicom_json, search
from gateway.wire.dicomweb.media_types import RESULTS, MediaType
from gateway.wire.dicomweb.search import Search
from gateway.wire.dimse import statuses
from gateway.wire.dimse.policy import WORKLIST
from gateway.worklist.answering import STEP_SEQUENCE
from gateway.worklist.items import Element, Item, Stored, of_identifier
from gateway.worklist.results import selected, selection, whole
from gateway.worklist.scanner_rules import STATION_AE, Form, is_open, with_keys
from gateway.worklist.time_zones import in_zone_of_site

COUNTED: Final = 10_000
"""Results behind a page that are counted for the Warning header; more would keep other queries waiting."""


async def search_steps(request: web.Request) -> web.Response:
    """One result for each scheduled step, with one item in Scheduled Procedure Step Sequence."""
    check_service(request, WORKLIST)
    media_type, *_ = preferred(request, RESULTS)
    context = request.app[CONTEXT]
    asked = search.read(request.query.items())
    if asked.limit == 0:
        return search_response(request, asked, media_type, [], 0)
    keys = in_zone_of_site(of_identifier(asked.keys), context.zone)
    if request.get(OWN, False):
        keys = _of_stations(keys, context.worklist.stations_of(request[SCANNER]))
    query = Query(request[SCANNER], request.remote or "", keys, asked.fuzzy, request.query_string.encode())
    started = context.worklist.now()
    answered: Sequence[StepRow] = ()
    status = statuses.SUCCESS
    try:
        page = Page(asked.offset, asked.limit, COUNTED)
        matches = await context.worklist.matches(query, partial(_writer, asked, media_type), page)
        answered = [step for step, _ in matches.answers]
        written = [result for _, result in matches.answers]
        return search_response(request, asked, media_type, written, matches.remaining)
    except GatewayError as error:
        status = statuses.status_of(error, statuses.FIND_STATUSES)
        raise
    finally:
        context.worklist.note(query, answered, status, started=started)


def _of_stations(keys: Item, stations: tuple[str, ...]) -> Item:
    """The query for steps of these stations, and of none. Raises 403 where it asks for another's."""
    step = keys.get(STEP_SEQUENCE)
    asked = step.items[0].get(STATION_AE) if step is not None and step.items else None
    if asked is None or is_open(asked):
        return with_keys(keys, {STATION_AE: Element(STATION_AE, "AE", "ScheduledStationAETitle", stations)})
    if not set(asked.values) <= set(stations):
        raise web.HTTPForbidden(text=f"this token opens the worklist of {', '.join(stations)} alone")
    return keys


def _writer(asked: Search, media_type: MediaType, form: Form) -> Callable[[Stored], bytes]:
    """Writes the result of an item; the item remembers it for the next search that asks for the same."""
    paths = (*asked.fields, *paths_of(of_identifier(asked.keys)), *paths_of(Stored(form.always)))
    wanted = None if asked.all_fields else selection(paths, never=form.never)
    write = writer(media_type)
    if write is dicom_json.write and wanted is not None:
        return results_of(wanted).write
    key = (write, wanted, form.never)

    def result(item: Stored) -> bytes:
        return write(in_utf_8(whole(item, form.never) if wanted is None else selected(item, wanted)))

    return lambda item: item.remembered(key, result)
