"""Handler and route of previews."""

from __future__ import annotations

from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from gateway.operations.pictures import picture
from gateway.web.auditing import SHOWN
from gateway.web.requests import StudyParameters, Words
from gateway.web.routes import Route, RouteContext


class InstanceParameters(StudyParameters):
    series: Annotated[Words, Field(min_length=1, description="Series Instance UID")]
    instance: Annotated[Words, Field(min_length=1, description="SOP Instance UID")]


async def show_preview(context: RouteContext, parameters: InstanceParameters) -> web.Response:
    """A small JPEG of an instance, to see what arrived; not for diagnosis. Of several frames the one in the middle.

    404 with the reason where its pixels are not kept, 422 where they cannot be shown.
    """
    uid = parameters.uid
    shown = await picture(context.store, context.views.pictures, uid, parameters.series, parameters.instance)
    response = web.Response(body=shown.jpeg, content_type="image/jpeg")
    response[SHOWN] = {"study_uid": uid, "patient_id": shown.patient_id}
    return response


_PATH: Final = "/api/studies/{uid}/series/{series}/instances/{instance}/preview.jpg"
ROUTES: Final = (Route("GET", _PATH, show_preview, "image/jpeg", InstanceParameters, (404, 422)),)
