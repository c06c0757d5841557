"""The page of the mappings in force, and of what a message that somebody pastes would become."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from gateway.errors import UnknownKey
from gateway.operations.explain import explain_message, shown_value
from gateway.operations.mappings_view import code_line, mappings_view, row_text
from gateway.operations.message_tools import MessageTools
from gateway.records.person import Role
from gateway.store import unknown_codes
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.requests import Words
from gateway.web.routes import Route, RouteContext

MOST_BYTES: Final = 1024 * 1024
MOST_CODES: Final = 200
UTF_8: Final = b"\xef\xbb\xbf"
"""Begins a message that is UTF-8, whatever its MSH-18 says: what is pasted has been read already."""


class PastedMessage(PageParameters):
    message: Annotated[str, Field(min_length=1, max_length=MOST_BYTES, description="An HL7 message, as text")]
    listener: Words = Field(default="", description="Whose rules it is read by; empty: the first listener's")


async def show_mappings(context: RouteContext, parameters: PageParameters) -> web.Response:
    """The rows in force, what the site changes, and codes that no table had lately."""
    tools = _tools(context)
    view = await asyncio.to_thread(mappings_view, tools.mappings)
    codes = await context.store.read(partial(unknown_codes.listing, now=context.clock(), limit=MOST_CODES))
    return page(
        context, "mappings.html", parameters, title="Mappings", current="/mappings", view=view, codes=codes,
        most_codes=MOST_CODES, days=unknown_codes.DAYS, listeners=tools.listeners, row_text=row_text,
        code_line=code_line,
    )  # fmt: skip


async def explain_pasted(context: RouteContext, parameters: PastedMessage) -> web.Response:
    """What a pasted message would become. Nothing is kept or sent."""
    tools = _tools(context)
    listener = parameters.listener or tools.listeners[0]
    if listener not in tools.listeners:
        raise UnknownKey(f"there is no listener {listener!r}", place="listener")
    raw = UTF_8 + parameters.message.lstrip("\ufeff").encode(errors="replace")
    given = await asyncio.to_thread(explain_message, tools.mappings, tools.reader, listener, raw)
    return page(
        context, "explained.html", parameters, title="What a message would become", current="/mappings", given=given,
        pasted=parameters.message, listener=listener, listeners=tools.listeners, value=shown_value,
    )  # fmt: skip


def _tools(context: RouteContext) -> MessageTools:
    if context.message_tools is None:
        raise UnknownKey("no mappings are in force here", place="mappings")
    return context.message_tools()


ROUTES: Final = (
    Route("GET", "/mappings", show_mappings, "text/html", PageParameters),
    Route("POST", "/mappings/explain", explain_pasted, "text/html", PastedMessage, (404,), role=Role.VIEWER),
)
