"""The first page: what calls for a person, how each part is, how much came and went, what happened last."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web
from markupsafe import Markup

from gateway.errors import Unavailable
from gateway.operations.state.database import READING
from gateway.operations.state.events import Event, last_events
from gateway.operations.state.part import Form, Kind, Level, Part, State
from gateway.operations.state.traffic import HourCounted
from gateway.records.person import Login
from gateway.store import silent_steps
from gateway.web.console.chart import Bar, bars
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import fragment, page, with_csrf
from gateway.web.requests import NoParameters
from gateway.web.routes import Route, RouteContext
from gateway.web.streams import event

REFRESH_SECONDS: Final = 10
"""For browsers that run no scripts."""
MOST_TILES: Final = 60
SILENT_SHOWN: Final = 20
WORDS: Final[Mapping[Level, str]] = {Level.GOOD: "good", Level.WARN: "look soon", Level.BAD: "look now"}
SECTIONS: Final[tuple[tuple[str, tuple[Kind, ...]], ...]] = (
    ("Comes in", (Kind.LISTENER, Kind.DICOM, Kind.SCANNER, Kind.EXAMINATIONS)),
    ("Goes out", (Kind.RECEIVER, Kind.WORKER)),
    (
        "The gateway itself",
        (
            Kind.GATEWAY,
            Kind.DATABASE,
            Kind.DISK,
            Kind.SPOOL,
            Kind.CLOCK,
            Kind.CERTIFICATE,
            Kind.AUDIT,
            Kind.CHAIN,
            Kind.BACKUP,
            Kind.RETENTION,
            Kind.CONFIGURATION,
        ),
    ),
)
CHARTS: Final = (("Orders and other messages", "orders"), ("Worklist queries", "queries"), ("Instances", "instances"),
                 ("Deliveries", "deliveries"))  # fmt: skip


async def show_now(context: RouteContext, parameters: PageParameters) -> web.Response:
    """What calls for a person and how each part is, for the night operator.

    503 when the database does not answer; the page says so.
    """
    values = await _values(context)
    status = 200 if values["events"] is not None else 503
    return page(
        context, "now.html", parameters, title="Now", current="/", status=status, refresh_seconds=REFRESH_SECONDS,
        **values,
    )  # fmt: skip


async def follow(context: RouteContext, parameters: NoParameters) -> web.Response:
    """The changing part of the first page as server-sent events, one for each change."""
    return web.Response(body=_followed(context), content_type="text/event-stream", charset="utf-8")


async def _followed(context: RouteContext) -> AsyncIterator[bytes]:
    """The changes, with forms of the session that follows; they end with it, or with the API token."""
    changes = context.streams.follow()
    async for change in changes:
        if not await _is_still_in(context):
            return
        yield with_csrf(change.decode(), context.visit).encode()


async def _is_still_in(context: RouteContext) -> bool:
    """Whether the session or API token by which the request came still opens the page."""
    visit = context.visit
    if context.person.login is Login.CLIENT:
        return await context.people.token_of(visit.token) is not None
    return not visit.secret or await context.people.session_of(visit.secret, is_used=False) is not None


async def changing_part(context: RouteContext) -> bytes:
    """What `follow` sends: the same bytes while nothing has changed."""
    return event("now", fragment(context, "now_live.html", **await _values(context)))


async def _values(context: RouteContext) -> dict[str, Any]:
    state = await context.state()
    parts = state.parts
    events: list[Event] | None = None
    hours: list[HourCounted] = []
    silent: list[dict[str, Any]] = []
    try:
        # A database that does not answer is not waited for once more.
        if not any(part.kind is Kind.DATABASE and part.name == READING and part.level is Level.BAD for part in parts):
            events = await context.store.read(last_events)
            hours = await context.traffic.of(context.store, context.clock())
            silent = await context.store.read(lambda connection: silent_steps.listing(connection, limit=SILENT_SHOWN))
    except Unavailable:
        pass
    return {
        "calling": state.calling(), "sections": _sections(state), "charts": _charts(context, hours),
        "events": events, "silent": silent, "words": WORDS, "forms": Form,
    }  # fmt: skip


def _sections(state: State) -> list[tuple[str, list[Part], int]]:
    """Heading, tiles, and how many parts have none: what is not good comes first."""
    sections = []
    for heading, kinds in SECTIONS:
        parts = [part for part in state.parts if part.kind in kinds]
        shown = [one for one in parts if one.level is not Level.GOOD]
        shown += [one for one in parts if one.level is Level.GOOD]
        if shown:
            sections.append((heading, shown[:MOST_TILES], max(len(shown) - MOST_TILES, 0)))
    return sections


def _charts(context: RouteContext, hours: Sequence[HourCounted]) -> list[Markup]:
    if not hours:
        return []
    labels = [f"{datetime.fromtimestamp(one.begins_at / 1e6, UTC).astimezone(context.zone):%H}" for one in hours]
    charts = []
    for caption, name in CHARTS:
        values = [getattr(one.counted, name) for one in hours]
        shown = [Bar(label, value, f"{value:,}") for label, value in zip(labels, values, strict=True)]
        charts.append(bars(caption, shown, highest=f"{max(values):,}"))
    shares = [one.counted.share_of_errors for one in hours]
    shown = [Bar(label, share, f"{share:.1%}") for label, share in zip(labels, shares, strict=True)]
    return [*charts, bars("Share of errors", shown, highest=f"{max(shares):.1%}", css_class="share")]


ROUTES: Final = (
    Route("GET", "/", show_now, "text/html", PageParameters, also=(503,)),
    Route("GET", "/events", follow, "text/event-stream"),
)
