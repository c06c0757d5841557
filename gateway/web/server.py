"""The aiohttp application: routes, logins, errors as JSON, headers that keep browsers careful."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from gateway.clock import Clock
from gateway.errors import Conflict, GatewayError, InvalidValue, Rejected, Unavailable, UnknownKey
from gateway.operations.answers.answer import Answer, Failure, Problem
from gateway.records.step import PUBLISHED, StepState
from gateway.store import Store
from gateway.web.api import handlers as api
from gateway.web.api import openapi, requests
from gateway.web.api.health import Component
from gateway.web.api.routes import Context, Route
from gateway.web.console import views
from gateway.web.login import Handler, guard

log = logging.getLogger(__name__)

CONTEXT: Final = web.AppKey("context", Context)
HIDDEN: Final = (StepState.HELD, *(state for state, term in PUBLISHED.items() if term == "DEPARTED"))
RETRY_AFTER_SECONDS: Final = 5

STATUSES: Final[tuple[tuple[type[GatewayError], int], ...]] = (
    (InvalidValue, 400),
    (UnknownKey, 404),
    (Conflict, 409),
    (Unavailable, 503),
    (Rejected, 422),
    (GatewayError, 500),
)
"""Error -> HTTP status; the first that fits."""

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; "
    f"style-src '{views.STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    # Not `no-referrer`: with it browsers hide the Origin of our own forms.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def build(
    store: Store,
    *,
    token: str | None,
    components: Callable[[], Awaitable[dict[str, Component]]],
    replay_message: Callable[[int], Awaitable[str]],
    why: Callable[[str, str], Awaitable[Any]],
    clock: Clock,
    version: str,
    hidden_states: Sequence[str] = HIDDEN,
    published_keys: Callable[[], dict[str, Any]] = lambda: {"keys": []},
    mounted: Mapping[str, web.Application] | None = None,
) -> web.Application:
    """The console over `store`. `replay_message` works on a kept message again and returns its new MSA-1;
    `why` says what keeps the order of an accession number off the scanner of an AE title, None if there is no order.

    `hidden_states`: steps in these are not in the worklist that `/api/worklist` shows. `published_keys`: the JWK Set
    (public keys) by which EHRs know us. `mounted`: applications of their own below a path, with logins and errors of
    their own.
    """
    open_paths = frozenset(route.path for route in api.ROUTES if route.open)
    inside = [errors_as_json, guard(token, open_paths)]
    application = web.Application(middlewares=[_but(tuple(mounted or ()), one) for one in inside])
    document = openapi.document(api.ROUTES, version)
    application[CONTEXT] = Context(
        store, components, replay_message, why, clock, version, hidden_states, published_keys, document
    )
    application.on_response_prepare.append(_careful)
    for route in api.ROUTES:
        if route.method == hdrs.METH_GET:
            application.router.add_get(route.path, _served(route))
        else:
            application.router.add_route(route.method, route.path, _served(route))
    for path, other in (mounted or {}).items():
        application.add_subapp(path, other)
    return application


def _but(paths: tuple[str, ...], inner: Middleware) -> Middleware:
    """`inner` for everything that is not below `paths`."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if any(request.path.startswith(f"{path}/") for path in paths):
            return await handler(request)
        return await inner(request, handler)

    return middleware


def _served(route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        answer = await route.handler(request.app[CONTEXT], requests.read(route.asked, request))
        if request.method == hdrs.METH_POST and "text/html" in request.headers.get("Accept", ""):
            # A button of the page was pressed: show the page again.
            raise web.HTTPSeeOther("/")
        return api.as_json(answer) if isinstance(answer, Answer) else answer

    return serve


async def _careful(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


@web.middleware
async def errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every error as `{"error": {"message", "place"}}` with its status."""
    try:
        return await handler(request)
    except GatewayError as error:
        return _failure(error.message, str(error.place), _status(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _http_failure(error)
    except Exception as error:
        # The words of an error may hold a patient's, and so may the path: only their shape is logged.
        resource = request.match_info.route.resource
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error(
            "%s %s failed: %s\n%s", request.method, resource.canonical if resource else "", type(error).__name__, frames
        )
        return _failure("internal error; the log says where", "", 500)


def _status(error: GatewayError) -> int:
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def _failure(message: str, place: str, status: int) -> web.Response:
    response = api.as_json(Failure(error=Problem(message=message, place=place)), status=status)
    if status == 503:
        response.headers[hdrs.RETRY_AFTER] = str(RETRY_AFTER_SECONDS)
    return response


SAID: Final = {
    404: "there is nothing at this path; /api/openapi.json lists what there is",
    405: "this method is not served at this path",
}


def _http_failure(error: web.HTTPException) -> web.Response:
    response = _failure(SAID.get(error.status) or error.text or error.reason, "", error.status)
    for name, value in error.headers.items():
        if name in (hdrs.ALLOW, hdrs.WWW_AUTHENTICATE):
            response.headers.add(name, value)
    return response
