"""The page of what is sent: receivers with their pauses, what is parked by cause, and single deliveries."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final
from urllib.parse import urlencode

from aiohttp import web
from pydantic import BeforeValidator, Field
from sqlalchemy import Connection

from gateway.operations.deliveries import OWN, WorkPage, work_page
from gateway.operations.receivers import ReceiverWork, states_of
from gateway.operations.state.part import Kind
from gateway.records.receiver import ReceiverType
from gateway.records.work import WorkState
from gateway.store import outbox_listing
from gateway.store.waiting import MOST_COUNTED
from gateway.web.console.now import WORDS
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.requests import Before, Words
from gateway.web.routes import Route, RouteContext

SHOWN: Final = 25
MOST_CAUSES: Final = 30
LEVELS: Final = {
    WorkState.PENDING: "", WorkState.LEASED: "", WorkState.DONE: "good", WorkState.PARKED: "bad",
    WorkState.REJECTED: "bad", WorkState.SUPERSEDED: "muted", WorkState.GIVEN_UP: "warn",
}  # fmt: skip
"""State -> class of its mark."""
_EMPTY_IS_NONE = BeforeValidator(lambda value: value or None)


class DeliveriesPageParameters(PageParameters):
    receiver: Words = Field(default="", description="Name of an EHR or a destination; `.`: work that has none")
    state: Annotated[WorkState | None, _EMPTY_IS_NONE] = None
    before: Before = None


async def show_deliveries(context: RouteContext, parameters: DeliveriesPageParameters) -> web.Response:
    """What is sent to EHRs and destinations, what stopped, and what a person may do about it."""
    read = partial(_read, context=context, parameters=parameters)
    receivers, causes, view = await context.store.read(read)
    parts = {part.name: part for part in (await context.state()).parts if part.kind is Kind.RECEIVER}
    return page(
        context, "deliveries.html", parameters, title="Deliveries", current="/deliveries", asked=parameters,
        receivers=receivers, parts_of=parts, feeds={feed.ehr: feed for feed in context.feeds.feeds},
        words=WORDS, causes=causes[:MOST_CAUSES], all_causes=len(causes), view=view, own=OWN, states=list(WorkState),
        levels=LEVELS, most=MOST_COUNTED, ehr=ReceiverType.EHR, here=_address(parameters, parameters.before),
        newest=_address(parameters, None) if parameters.before else "",
        older=_address(parameters, view.next_before) if view.next_before else "",
    )  # fmt: skip


def _read(
    connection: Connection, context: RouteContext, parameters: DeliveriesPageParameters
) -> tuple[list[ReceiverWork], list[outbox_listing.Stuck], WorkPage]:
    """All of the page, on one snapshot."""
    view = work_page(
        connection, context.receivers, name=parameters.receiver, state=parameters.state, limit=SHOWN,
        before=parameters.before,
    )  # fmt: skip
    return states_of(connection, context.receivers), outbox_listing.stuck(connection), view


def _address(parameters: DeliveriesPageParameters, before: int | None) -> str:
    """The path of the page with these filters."""
    fields = {**parameters.model_dump(mode="json", exclude={"notice", "n", "before"}), "before": before}
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"/deliveries?{query}" if query else "/deliveries"


ROUTES: Final = (Route("GET", "/deliveries", show_deliveries, "text/html", DeliveriesPageParameters, (404,)),)
