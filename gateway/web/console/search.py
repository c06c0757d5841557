"""The page of the search; a number that one thing alone has leads straight to that thing."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from aiohttp import web

from gateway.operations.answers.search import MessageHit, OrderHit, PatientHit, StudyHit
from gateway.operations.search import MOST, Search, remarks, search, sole
from gateway.records.lookup import NOT_APPLIED, StepFilter
from gateway.records.step import StepState
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.requests import SearchParameters
from gateway.web.routes import Route, RouteContext

STATES: Final = (*(state.value for state in StepState), NOT_APPLIED)


class SearchPageParameters(PageParameters, SearchParameters):
    pass


async def show_search(context: RouteContext, parameters: SearchPageParameters) -> web.Response:
    """What a number or a name finds; 303 to the thing itself where one alone has the number."""
    narrow = StepFilter(parameters.day, parameters.modality, parameters.station, parameters.state or "")
    wanted = Search(context.zone, parameters.q.strip(), narrow)
    hits = await context.store.read(lambda connection: search(connection, wanted))
    only = None if narrow else sole(hits)
    if only is not None:
        raise web.HTTPSeeOther(_address(only))
    return page(
        context, "search.html", parameters, title="Search", current="/search", searched=wanted.text, narrow=narrow,
        is_asked=bool(wanted.text or narrow), hits=hits, remarks=list(remarks(hits)), states=STATES, most=MOST,
    )  # fmt: skip


def _address(hit: OrderHit | PatientHit | StudyHit | MessageHit) -> str:
    match hit:
        case OrderHit():
            return f"/orders/{hit.id}"
        case PatientHit():
            return f"/patients/{hit.id}"
        case StudyHit():
            return f"/studies/{quote(hit.study_uid, safe='')}"
        case MessageHit():
            return f"/messages/{hit.id}"


ROUTES: Final = (Route("GET", "/search", show_search, "text/html", SearchPageParameters),)
