"""Errors as HTTP answers: one table from the class of an error to its status, one middleware for every application."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from gateway.errors import Conflict, GatewayError, InvalidValue, Rejected, Unavailable, UnknownKey
from gateway.operations.people.refusals import TooManyTries, WrongSecret
from gateway.pixels.faults import PixelFault

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Render = Callable[[str, str, int], web.Response]
"""(message, place, status) -> the answer in the format of the application."""

RETRY_AFTER_SECONDS: Final = 5


class NotAcceptable(InvalidValue):
    """The request accepts no media type that is served (RFC 9110 15.5.7)."""


Statuses = tuple[tuple[type[GatewayError], int], ...]
STATUSES: Final[Statuses] = (
    (NotAcceptable, 406),
    (WrongSecret, 401),
    (TooManyTries, 429),
    (InvalidValue, 400),
    (UnknownKey, 404),
    (Conflict, 409),
    (Unavailable, 503),
    (Rejected, 422),
    (PixelFault, 422),
    (GatewayError, 500),
)
"""Error -> HTTP status; the first row that fits counts."""


def failures(render: Render, texts: Mapping[int, str], statuses: Statuses = STATUSES) -> Middleware:
    """A middleware that answers every error with `render`; `texts` replaces what aiohttp writes for a status, and
    `statuses` is the table of the application."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except GatewayError as error:
            response = render(error.message, str(error.place), status_of(error, statuses))
            if isinstance(error, TooManyTries):
                response.headers[hdrs.RETRY_AFTER] = f"{error.retry_after:.0f}"
        except web.HTTPException as error:
            if error.status < 400:
                raise
            response = render(texts.get(error.status) or error.text or error.reason, "", error.status)
            _copy_headers(error, response)
        except Exception as error:
            if isinstance(error, web.RequestPayloadError) or _is_gone(request, error):
                response = render("it is cut off, or not encoded as its headers state", "body", 400)
            else:
                _log_failure(request, error)
                response = render("internal error; the log says where", "", 500)
        if response.status == 503:
            response.headers[hdrs.RETRY_AFTER] = str(RETRY_AFTER_SECONDS)
        return response

    return middleware


def status_of(error: GatewayError, statuses: Statuses = STATUSES) -> int:
    """The HTTP status of an error."""
    return next(status for kind, status in statuses if isinstance(error, kind))


def _is_gone(request: web.Request, error: Exception) -> bool:
    """The client has closed the connection while its body was waited for: the answer is for nobody."""
    return isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing())


def _copy_headers(error: web.HTTPException, response: web.Response) -> None:
    """Allow (RFC 9110 10.2.1) and WWW-Authenticate (11.6.1) belong to the answer, whatever its format."""
    for name, value in error.headers.items():
        if name in (hdrs.ALLOW, hdrs.WWW_AUTHENTICATE):
            response.headers.add(name, value)


def _log_failure(request: web.Request, error: Exception) -> None:
    # The path may hold a patient's data, and the route does not; of the error the log writes the class and the frames.
    resource = request.match_info.route.resource
    log.error("%s %s failed", request.method, resource.canonical if resource else "", exc_info=error)
