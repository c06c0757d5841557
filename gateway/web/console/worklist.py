"""The page of the worklist as a scanner sees it, of what it does not see and why, and of who asks at all."""

from __future__ import annotations

from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import Field

from gateway.operations.scanner_worklist import MOST
from gateway.store import scanner_queries
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.requests import Day, Words
from gateway.web.routes import Route, RouteContext


class WorklistPageParameters(PageParameters):
    scanner: Annotated[Words, Field(description="AE title")] = ""
    day: Day = Field(default="", description="Of the steps that are not shown; empty: the day of the last query")


async def show_scanner_worklist(context: RouteContext, parameters: WorklistPageParameters) -> web.Response:
    """What a scanner is answered now, what it does not see and why, its last queries and refusals."""
    askers = {row["calling_ae"]: dict(row) for row in await context.store.read(scanner_queries.who_asked)}
    scanners = [*context.views.scanners, *(title for title in askers if title not in context.views.scanners)]
    view = None
    if parameters.scanner and context.views.worklist_of is not None:
        view = await context.views.worklist_of(parameters.scanner, parameters.day)
    title = f"Worklist of {parameters.scanner}" if parameters.scanner else "Worklist"
    return page(
        context, "worklist.html", parameters, title=title, current="/worklist", scanner=parameters.scanner,
        scanners=scanners, askers=askers, view=view, most=MOST, day=parameters.day, keys_text=keys_text,
    )  # fmt: skip


def keys_text(keys: dict[str, Any]) -> str:
    """The keys of a query that ask for something, on one line."""
    return ", ".join(_given(keys)) or "no key: everything"


def _given(keys: dict[str, Any]) -> list[str]:
    given = []
    for keyword, value in keys.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            given += _given(value[0])
        elif value not in ("", None, []):
            given.append(f"{keyword} = {value}")
    return given


ROUTES: Final = (Route("GET", "/worklist", show_scanner_worklist, "text/html", WorklistPageParameters),)
