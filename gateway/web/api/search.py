"""The JSON API of the search."""

from __future__ import annotations

from typing import Final

from gateway.operations.answers.search import Hits
from gateway.operations.search import Search, search
from gateway.records.lookup import StepFilter
from gateway.web.requests import SearchParameters
from gateway.web.routes import Route, RouteContext


async def find(context: RouteContext, parameters: SearchParameters) -> Hits:
    """Orders, patients, studies and messages by a number or a name.

    A filter lists orders alone, by their steps; the state `not-applied` lists messages.
    """
    wanted = wanted_by(context, parameters)
    return await context.store.read(lambda connection: search(connection, wanted))


def wanted_by(context: RouteContext, parameters: SearchParameters) -> Search:
    """What the parameters of a request look for."""
    narrow = StepFilter(parameters.day, parameters.modality, parameters.station, parameters.state or "")
    return Search(context.zone, parameters.q.strip(), narrow)


ROUTES: Final = (Route("GET", "/api/search", find, Hits, SearchParameters),)
