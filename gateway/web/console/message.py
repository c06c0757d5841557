"""The page of one message: its fields, what the mapping takes of them, its acknowledgement, and what to do with it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from aiohttp import web
from pydantic import Field

from gateway.errors import UnknownKey
from gateway.operations.explain import shown_value
from gateway.operations.message_tools import MessageTools
from gateway.operations.message_view import message_view
from gateway.operations.replay import Outcome, shown_change
from gateway.records.row_ids import MessageRow
from gateway.store import message_listing, messages
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.requests import RowParameters
from gateway.web.routes import Route, RouteContext


class MessagePageParameters(PageParameters, RowParameters):
    preview: bool = Field(default=False, description="Whether to try what working on the message again would change")


async def show_message_page(context: RouteContext, parameters: MessagePageParameters) -> web.Response:
    """One message with its fields by name, what each row of the mapping takes of them, and its acknowledgement."""
    row = await context.store.read(partial(messages.get, message=MessageRow(parameters.id)))
    if row is None or context.message_tools is None:
        raise UnknownKey(f"there is no message {parameters.id}", place="id")
    tools = context.message_tools()
    view = await asyncio.to_thread(message_view, row, tools)
    orders, patients = await context.store.read(partial(message_listing.touched, message=parameters.id))
    preview = await _tried(tools, MessageRow(parameters.id)) if parameters.preview else None
    return page(
        context, "message.html", parameters, title=f"Message {parameters.id}", current="/messages", view=view,
        orders=orders, patients=patients, preview=preview, here=f"/messages/{parameters.id}",
        value=shown_value, change=shown_change,
    )  # fmt: skip


async def _tried(tools: MessageTools, message: MessageRow) -> Outcome:
    """What working on a message again would change, of all patients that it has to do with."""
    tried = Outcome()
    async for one in tools.dry_run.outcomes([message]):
        tried.answers += one.answers
        tried.changes += one.changes
    return tried


ROUTES: Final = (
    Route("GET", "/messages/{id}", show_message_page, "text/html", MessagePageParameters, (404,), shows_texts=True),
)
