"""The page of all messages: causes with what cures them, filters, what arrived unreadable."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from aiohttp import web
from pydantic import BeforeValidator, Field

from gateway.operations.messages_view import MOST_REFUSALS, bounds_of, messages_view
from gateway.records.message import MessageState
from gateway.store.message_listing import LOOKED_AT, Wanted
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.requests import Before, Day, Words
from gateway.web.routes import Route, RouteContext

SHOWN: Final = 25
PUT_AWAY: Final = {"": None, "open": False, "put-away": True}
_EMPTY_IS_NONE = BeforeValidator(lambda value: value or None)


class MessagesPageParameters(PageParameters):
    state: Annotated[MessageState | None, _EMPTY_IS_NONE] = None
    listener: Words = ""
    type: Words = Field(default="", description="MSH-9 as TYPE^TRIGGER, or the type alone")
    cause: Annotated[Words, Field(pattern=r"^([0-9a-f]{8})?$", description="Key of a cause")] = ""
    day: Day = ""
    put: Literal["", "open", "put-away"] = Field(default="", description="What calls for a person, or was put away")
    before: Before = None


async def show_messages(context: RouteContext, parameters: MessagesPageParameters) -> web.Response:
    """HL7 messages by cause and as wanted, and what arrived unreadable."""
    first_at, last_at = bounds_of(parameters.day, context.zone)
    wanted = Wanted(
        parameters.state, parameters.cause, parameters.listener.strip(), parameters.type.strip(), first_at, last_at,
        PUT_AWAY[parameters.put],
    )  # fmt: skip
    view = await context.store.read(
        lambda connection: messages_view(connection, wanted, limit=SHOWN, before=parameters.before)
    )
    return page(
        context, "messages.html", parameters, title="Messages", current="/messages", view=view, asked=parameters,
        here=_address(parameters, parameters.before), newest=_address(parameters, None) if parameters.before else "",
        older=_address(parameters, view.page.next_before) if view.page.next_before else "", states=list(MessageState),
        looked_at=LOOKED_AT, most_refusals=MOST_REFUSALS,
    )  # fmt: skip


def _address(parameters: MessagesPageParameters, before: int | None) -> str:
    """The path of the page with these filters."""
    fields = {**parameters.model_dump(mode="json", exclude={"notice", "n", "before"}), "before": before}
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"/messages?{query}" if query else "/messages"


ROUTES: Final = (Route("GET", "/messages", show_messages, "text/html", MessagesPageParameters),)
