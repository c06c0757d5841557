"""Who reads studies: whoever may look at the console, by the same login; a scanner's token or passcode opens none."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Middleware

from gateway.records.person import Role
from gateway.web.dicomweb.transactions import OF_READERS
from gateway.web.login import PERSON, VISIT, Door, Handler, check_role


def login_by_resource(scanners: Middleware, readers: Middleware) -> Middleware:
    """A middleware that asks for the login of the resource: studies are for readers, all else is for scanners."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        is_of_readers = request.match_info.route in request.app[OF_READERS]
        return await (readers if is_of_readers else scanners)(request, handler)

    return middleware


def reader_login(door: Door) -> Middleware:
    """A middleware that lets viewers through, and answers as `Door.enter` raises."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[PERSON], request[VISIT] = await door.enter(request)
        check_role(request[PERSON], Role.VIEWER)
        return await handler(request)

    return middleware
