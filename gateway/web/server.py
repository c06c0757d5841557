# Long: `build` takes all that the composition root hands to the console, a line for each.
"""The aiohttp application: routes, logins, errors as JSON, headers that keep browsers careful."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, tzinfo
from functools import cache, partial
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware
from yarl import URL

from gateway.clock import Clock
from gateway.journey.performed_step.attaching import Tools
from gateway.operations.answers.answer import Answer, Failure, Problem
from gateway.operations.exclude import ReadAgain
from gateway.operations.feeds import Feeds
from gateway.operations.message_tools import MessageTools
from gateway.operations.page_views import NO_VIEWS, PageViews
from gateway.operations.people.people import People
from gateway.operations.state.components import Component
from gateway.operations.state.part import State
from gateway.operations.state.reading import state_of
from gateway.operations.state.sources import Process, Setup, Sources
from gateway.operations.state.traffic import Traffic
from gateway.operations.system import NONE as NO_SYSTEM
from gateway.operations.system import System
from gateway.records.audit import AuditEvent
from gateway.records.receiver import Receiver
from gateway.records.row_ids import MessageRow
from gateway.records.step import PUBLISHED, StepState
from gateway.store import Store
from gateway.web import requests
from gateway.web.api import audit as audit_routes
from gateway.web.api import (
    exclusions,
    legal_holds,
    openapi,
    order_meeting,
    performed_steps,
    pictures,
    put_away,
    resends,
    search,
    studies,
)
from gateway.web.api import handlers as api
from gateway.web.api import people as people_routes
from gateway.web.api import receivers as receiver_routes
from gateway.web.api import system as system_routes
from gateway.web.api import turnaround as turnaround_routes
from gateway.web.auditing import audit, audit_refused
from gateway.web.console import now
from gateway.web.console import routes as console
from gateway.web.console.rendering import error_page
from gateway.web.failures import failures
from gateway.web.login import Door, Handler, Token, check_form, check_role, guard, person_of, transport, visit_of
from gateway.web.routes import Route, RouteContext, alone
from gateway.web.streams import Streams

ROUTES: Final = (
    *console.ROUTES,
    *api.ROUTES,
    *performed_steps.ROUTES,
    *put_away.ROUTES,
    *search.ROUTES,
    *audit_routes.ROUTES,
    *studies.ROUTES,
    *pictures.ROUTES,
    *turnaround_routes.ROUTES,
    *receiver_routes.ROUTES,
    *system_routes.ROUTES,
    *resends.ROUTES,
    *exclusions.ROUTES,
    *order_meeting.ROUTES,
    *legal_holds.ROUTES,
    *people_routes.ROUTES,
)
"""What is not in this table is neither served nor documented."""

CONTEXT: Final = web.AppKey("context", RouteContext)
HIDDEN: Final = (StepState.HELD, *(state for state, term in PUBLISHED.items() if term == "DEPARTED"))
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; "
    "script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    # Not `no-referrer`: with it browsers hide the Origin of our own forms.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

SERVER: Final = "imaging-gateway"


def build(
    store: Store,
    *,
    token: Token | str | None = None,
    door: Door | None = None,
    components: Callable[[], Awaitable[dict[str, Component]]],
    replay_message: Callable[[MessageRow], Awaitable[str]],
    why: Callable[[str, str], Awaitable[Any]],
    read_again: ReadAgain,
    clock: Clock,
    version: str,
    hidden_states: Sequence[str] = HIDDEN,
    first_day: Callable[[int], str] = lambda _now: "",
    published_keys: Callable[[], dict[str, Any]] = lambda: {"keys": []},
    mounted: Mapping[str, web.Application] | None = None,
    links: Tools | None = None,
    zone: tzinfo = UTC,
    state: Callable[[], Awaitable[State]] | None = None,
    receivers: Sequence[Receiver] = (),
    views: PageViews = NO_VIEWS,
    system: System = NO_SYSTEM,
    message_tools: Callable[[], MessageTools] | None = None,
    note: Callable[[AuditEvent], None] = lambda event: None,
    all_metrics: Callable[[Callable[[], bytes]], Awaitable[bytes]] = alone,
) -> web.Application:
    """The console over `store`. `replay_message` works on a kept message again and returns its new MSA-1;
    `why` says what keeps the order of an accession number off the scanner of an AE title, None if there is no order;
    `read_again` reads a study anew from its kept headers.

    `door`: who is let in; None: users of `store`, and whoever shows `token`.

    `hidden_states`: steps in these are not in the worklist that `/api/worklist` shows, nor are expired ones
    (`RouteContext.first_day`). `published_keys`: the JWK Set (public keys) by which EHRs know us. `mounted`:
    applications of their own below a path, with logins and errors of their own. `links`: what links of performed
    steps need. `zone`: of the site, for the moments on pages. `state`: how each part is; None: of what `store` and
    `components` tell alone. `receivers`: EHRs and destinations. `views`: of scanners and studies. `system`:
    the configuration in force, and its reload. `message_tools`: what explaining and trying messages takes.
    `note`: records an event of the audit trail soon. `all_metrics`: adds what other processes of the gateway count.
    """
    door = door or Door(Token.of(token), People(store, clock))
    application = web.Application(middlewares=_middlewares(door, tuple(mounted or ())))
    application[CONTEXT] = RouteContext(
        store, components, replay_message, why, read_again, clock, version, hidden_states, first_day, published_keys,
        partial(openapi.document, ROUTES, version), state or _alone(store, components, version, clock),
        _feeds(application, store, clock), Traffic([one for receiver in receivers for one in receiver.kinds]),
        Streams(lambda: now.changing_part(application[CONTEXT])), system, door.people, links, zone, receivers,
        views, message_tools, door.provider, note=note, all_metrics=all_metrics,
    )  # fmt: skip
    return _serving(application, mounted or {}, door)


def _serving(application: web.Application, mounted: Mapping[str, web.Application], door: Door) -> web.Application:
    async def look(_application: web.Application) -> None:
        # Before the first request: later the database may be away.
        await door.asks()

    application.on_startup.append(look)
    application.on_shutdown.append(_end_streams)
    application.on_response_prepare.append(_careful)
    for resource in _resources():
        application.router.register_resource(resource)
    for path, other in mounted.items():
        application.add_subapp(path, other)
    return application


def _alone(
    store: Store, components: Callable[[], Awaitable[dict[str, Component]]], version: str, clock: Clock
) -> Callable[[], Awaitable[State]]:
    """How the parts are of which no more is known."""
    return partial(state_of, store, Sources(Setup(), Process(components), version, clock))


async def _end_streams(application: web.Application) -> None:
    await application[CONTEXT].streams.close()


def _feeds(application: web.Application, store: Store, clock: Clock) -> Feeds:
    """Resends in the background, which end with the application."""
    feeds = Feeds(store, clock)
    application.on_cleanup.append(lambda _application: feeds.close())
    return feeds


def _middlewares(door: Door, mounted: tuple[str, ...]) -> list[Middleware]:
    """What requests pass through: all of them, and those that are not below a path of `mounted`."""
    open_paths = frozenset(route.path for route in ROUTES if route.open)
    return [transport(door.proxies), *(_but(mounted, middleware) for middleware in (_errors, guard(door, open_paths)))]


@cache
def _resources() -> tuple[web.AbstractResource, ...]:
    """What is served, for each application alike: what differs, a handler takes from the application of its request."""
    router = web.UrlDispatcher()
    for route in ROUTES:
        if route.method == hdrs.METH_GET:
            router.add_get(route.path, _served(route))
        else:
            router.add_route(route.method, route.path, _served(route))
    return tuple(router.resources())


def _but(paths: tuple[str, ...], inner: Middleware) -> Middleware:
    """`inner` for everything that is not below `paths`."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if any(f"{request.path}/".startswith(f"{path}/") for path in paths):
            return await handler(request)
        return await inner(request, handler)

    return middleware


def _served(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def serve(request: web.Request) -> web.StreamResponse:
        context = _context_of(request)
        if not route.open:
            _check_role(context, route, request)
        fields: dict[str, str] = {}
        if request.method == hdrs.METH_POST:
            fields = await requests.form_fields(request)
            check_form(context.visit, fields.pop("csrf", "") or request.headers.get("X-CSRF-Token", ""))
            if route.in_body:
                requests.refuse_query(request)
        back = fields.pop("back", "/")
        answer = await route.handler(context, requests.read(route.parameters, request, fields))
        audit(context, route, request, answer)
        if not isinstance(answer, Answer):
            return answer
        if request.method == hdrs.METH_POST and _is_browser(request):
            # A button of a page was pressed: show the page again, which states what was done.
            raise web.HTTPSeeOther(_noticed(requests.local_path(back), route, answer))
        return api.as_json(answer)

    return serve


def _check_role(context: RouteContext, route: Route, request: web.Request) -> None:
    try:
        check_role(context.person, route.role_needed)
    except web.HTTPForbidden:
        audit_refused(context, route, request)
        raise


def _context_of(request: web.Request) -> RouteContext:
    """What handlers get for this request."""
    return replace(request.app[CONTEXT], person=person_of(request), visit=visit_of(request))


def _noticed(address: URL, route: Route, answer: Answer) -> URL:
    notice = route.notice(answer) if route.notice else None
    return address.update_query(notice=notice.key, n=notice.number) if notice else address


def _is_browser(request: web.Request) -> bool:
    return "text/html" in request.headers.get("Accept", "")


async def _careful(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    # aiohttp names itself and Python, with their versions.
    response.headers[hdrs.SERVER] = SERVER


def _failure(message: str, place: str, status: int) -> web.Response:
    return api.as_json(Failure(error=Problem(message=message, place=place)), status=status)


TEXTS: Final = {
    404: "there is nothing at this path; /api/openapi.json lists what there is",
    405: "this method is not served at this path",
}
errors_as_json: Final = failures(_failure, TEXTS)
"""Every error as `{"error": {"message", "place"}}` with its status."""
_PAGE_TEXTS: Final = {404: "There is no page at this address.", 405: "This address takes another method."}


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors as pages for browsers, as JSON for programs."""
    if not _is_browser(request):
        return await errors_as_json(request, handler)

    def render(message: str, place: str, status: int) -> web.Response:
        return error_page(_context_of(request), message, place, status)

    return await failures(render, _PAGE_TEXTS)(request, handler)
