"""The first page: what calls for a person, and what the gateway is doing."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.journey import STATIONS
from gateway.web.console import status
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.routes import Route, RouteContext

REFRESH_SECONDS: Final = 10


async def show_now(context: RouteContext, parameters: PageParameters) -> web.Response:
    """What is stuck and why, for the night operator.

    503 when the database does not answer; the page says so.
    """
    current = await status.status_of(context)
    reasons, lists = status.reasons_to_look(current), current.lists
    return page(
        context, "now.html", parameters, title="Now", current="/", status=503 if lists is None else 200,
        components=current.components, lists=lists, reasons=reasons,
        frequent_causes=[group for group in lists.causes if group.count > 1] if lists else [],
        nothing_stuck=lists is not None and not reasons, stations=STATIONS, refresh_seconds=REFRESH_SECONDS,
    )  # fmt: skip


ROUTES: Final = (Route("GET", "/", show_now, "text/html", PageParameters, also=(503,)),)
