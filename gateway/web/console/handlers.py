"""The console's routes."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.web.console import pages, status
from gateway.web.requests import NoParameters
from gateway.web.routes import Route, RouteContext


async def page(context: RouteContext, parameters: NoParameters) -> web.Response:
    """What is stuck and why, for the night operator.

    503 when the database does not answer; the page says so.
    """
    current = await status.status_of(context)
    code = 503 if current.lists is None else 200
    return web.Response(text=pages.status_page(current), content_type="text/html", status=code)


ROUTES: Final = (Route("GET", "/", page, "text/html", also=(503,)),)
