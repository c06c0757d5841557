"""Handlers and routes of performed steps (MPPS) that need a person."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from gateway.errors import UnknownKey
from gateway.operations import link_by_hand
from gateway.operations.answers import performed_steps as answers
from gateway.operations.unlinked import unlinked
from gateway.records.row_ids import OrderRow
from gateway.store import silent_steps
from gateway.web import requests
from gateway.web.routes import Route, RouteContext


async def list_silent(context: RouteContext, parameters: requests.PerformedStepParameters) -> answers.SilentSteps:
    """Performed steps in progress without a sign of life (N-SET, images) for longer than the site allows."""
    rows = await context.store.read(lambda connection: silent_steps.listing(connection, limit=parameters.limit))
    return answers.SilentSteps(performed_steps=[answers.SilentStep.model_validate(row) for row in rows])


async def list_unlinked(context: RouteContext, parameters: requests.PerformedStepParameters) -> answers.UnlinkedSteps:
    """Performed steps (MPPS) of which nothing that was ordered is known to be performed, with suggestions.

    A suggestion is for a person to decide; nothing is linked by it.
    """
    steps = await context.store.read(lambda connection: unlinked(connection, limit=parameters.limit))
    return answers.UnlinkedSteps(performed_steps=steps)


async def link(context: RouteContext, parameters: requests.LinkParameters) -> answers.LinkOutcome:
    """Link a performed step to a scheduled step. Kept with who, when and why.

    409 when the order has several steps and none is named, or several orders have the accession number.
    """
    return await _change_link(context, link_by_hand.link, parameters)


async def unlink(context: RouteContext, parameters: requests.LinkParameters) -> answers.LinkOutcome:
    """Take the link of a performed step away; its order is what it would be without. Kept with who, when and why.

    409 when several links are meant.
    """
    return await _change_link(context, link_by_hand.unlink, parameters)


async def _change_link(
    context: RouteContext, change: Callable[..., answers.LinkOutcome], parameters: requests.LinkParameters
) -> answers.LinkOutcome:
    if context.links is None:
        raise UnknownKey("links are not changed here", place="uid")
    order = None if parameters.order is None else OrderRow(parameters.order)
    person = parameters.person or requests.THE_API
    wish = link_by_hand.Wish(parameters.uid, person, parameters.reason, order, parameters.accession, parameters.step)
    return await context.store.write(partial(change, tools=context.links, wish=wish, now=context.clock()))


ROUTES: Final = (
    Route("GET", "/api/silent", list_silent, answers.SilentSteps, requests.PerformedStepParameters),
    Route("GET", "/api/unlinked", list_unlinked, answers.UnlinkedSteps, requests.PerformedStepParameters),
    Route("POST", "/api/performed-steps/{uid}/link", link, answers.LinkOutcome, requests.LinkParameters,
          (404, 409, 422)),
    Route("POST", "/api/performed-steps/{uid}/unlink", unlink, answers.LinkOutcome, requests.LinkParameters,
          (404, 409)),
)  # fmt: skip
