"""Create, Update and Retrieve of Modality Performed Procedure Steps (PS3.18 15.4 to 15.6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import hdrs, web

from gateway.errors import DuplicateKey, GatewayError, Rejected
from gateway.journey.performed_step.request import Request
from gateway.long_work import beside
from gateway.observe import metrics
from gateway.records.order import Attributes
from gateway.web.dicomweb.attributes import attributes_of
from gateway.web.dicomweb.context import CONTEXT, base_uri, uid_of
from gateway.web.dicomweb.login import OWN, SCANNER, check_service
from gateway.web.dicomweb.representations import payload, preferred, results, writer
from gateway.web.dicomweb.search_response import in_utf_8
from gateway.web.dicomweb.statuses import STATUSES
from gateway.web.failures import status_of
from gateway.wire.dicomweb import search
from gateway.wire.dicomweb.dataset import CHARACTER_SET
from gateway.wire.dicomweb.media_types import ONE_RESULT
from gateway.wire.dimse.policy import MPPS
from gateway.worklist.items import Item, Stored
from gateway.worklist.results import selected, selection

STEPS: Final = "/modality-performed-procedure-steps"
_PLACE: Final = "SOP Instance UID"


async def create_or_update(request: web.Request) -> web.Response:
    """`?update` alone tells an Update from a Create (15.5.1)."""
    return await (update(request) if "update" in request.query else create(request))


async def create(request: web.Request) -> web.Response:
    """The performed step begins: 201. A UID that is in use is refused whatever the content is (Table 15.4.3-1)."""
    station = request.app[CONTEXT].performed_steps

    async def begin(stated: Request) -> None:
        if not await station.create(stated):
            raise DuplicateKey("this performed step has been created already, with the same content")

    uid = await _answered("Create", 201, request, begin)
    return web.Response(status=201, headers={hdrs.LOCATION: _uri(request, uid)})


async def update(request: web.Request) -> web.Response:
    """The performed step goes on or ends: 200. A step that is final is refused whatever the content is."""
    station = request.app[CONTEXT].performed_steps

    await _answered("Update", 200, request, station.set)
    return web.Response(status=200)


async def retrieve(request: web.Request) -> web.Response:
    """The performed step, all of it or what `includefield` names (15.6): an array of one object, or one document."""
    check_service(request, MPPS)
    media_type, *_ = preferred(request, ONE_RESULT)
    fields = search.read((name, value) for name, value in request.query.items() if name == search.INCLUDE)
    try:
        uid = uid_of(request, _PLACE)
        await _check_own(request, uid)
        attributes = await request.app[CONTEXT].performed_steps.get(uid)
    except GatewayError as error:
        _count("Retrieve", status_of(error, STATUSES))
        raise
    response = await beside(lambda: results(media_type, [writer(media_type)(_item(attributes, fields))]))
    response.headers[hdrs.CONTENT_LOCATION] = _uri(request, uid)
    _count("Retrieve", 200)
    return response


async def _answered(
    transaction: str, success: int, request: web.Request, work: Callable[[Request], Awaitable[None]]
) -> str:
    """The UID of the performed step, after the commit."""
    check_service(request, MPPS)
    stated: Request | None = None
    try:
        uid = uid_of(request, _PLACE)
        await _check_own(request, uid)
        attributes, is_long = await payload(request, attributes_of)
        stated = Request(request[SCANNER], request.remote or "", uid, attributes, is_long)
        await work(stated)
    except GatewayError as error:
        status = status_of(error, STATUSES)
        _count(transaction, status)
        if stated is not None and isinstance(error, Rejected):
            await request.app[CONTEXT].performed_steps.keep_refused(stated, f"{transaction} {status}", error)
        raise
    _count(transaction, success)
    return uid


async def _check_own(request: web.Request, uid: str) -> None:
    """Raises 403 for a token of a scanner where another scanner has begun the performed step."""
    if not request.get(OWN, False):
        return
    context = request.app[CONTEXT]
    begun_by = await context.performed_steps.begun_by(uid)
    if begun_by and begun_by not in context.worklist.stations_of(request[SCANNER]):
        raise web.HTTPForbidden(text="this token opens the performed steps of its own scanner alone")


def _uri(request: web.Request, uid: str) -> str:
    return f"{base_uri(request)}{STEPS}/{uid}"


def _item(attributes: Attributes, fields: search.Search) -> Item:
    stated = Stored(attributes)
    item = dict(stated) if not fields.fields else selected(stated, selection(fields.fields, required={}))
    item.pop(CHARACTER_SET, None)
    return in_utf_8(item)


def _count(transaction: str, status: int) -> None:
    metrics.PERFORMED_STEPS.labels(transaction, str(status)).inc()
