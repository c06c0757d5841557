"""The contact sheet of a study."""

from __future__ import annotations

from functools import partial
from typing import Final

from aiohttp import web

from gateway.operations.pictures import contact_sheet
from gateway.records.identifiers import StudyInstanceUID
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.requests import StudyParameters
from gateway.web.routes import Route, RouteContext


class SheetParameters(PageParameters, StudyParameters):
    pass


async def show_sheet(context: RouteContext, parameters: SheetParameters) -> web.Response:
    """Previews of a study: instances of each series, spread evenly, those of each patient among them."""
    uid = StudyInstanceUID(parameters.uid)
    sheet = await context.store.read(partial(contact_sheet, study_uid=uid, of=context.views.pictures))
    return page(context, "pictures.html", parameters, title="Contact sheet", current="/studies", sheet=sheet)


ROUTES: Final = (Route("GET", "/studies/{uid}/pictures", show_sheet, "text/html", SheetParameters, (404,)),)
