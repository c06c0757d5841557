"""Pages of studies: the list, and one study with its journey, parts, and its resource as it would be now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from aiohttp import web
from sqlalchemy import Connection

from gateway.errors import UnknownKey
from gateway.journey.study_settling.targets import ResourcePreview
from gateway.operations import journey_subject, studies_view
from gateway.operations.answers.journey import Journey
from gateway.operations.answers.studies import StudyDetail
from gateway.operations.journey_events import corrected_text
from gateway.operations.journey_of import CUT, read
from gateway.operations.moved_view import moved_text
from gateway.operations.resource_difference import ResourceDifference, difference
from gateway.operations.study_list import PAGE, StudyFilter, study_list
from gateway.records.ehr_standing import EhrStanding
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order_check import OrderStanding
from gateway.records.work import Lane, delivery_to
from gateway.store import outbox
from gateway.store.study_listing import LOOKED_AT
from gateway.web.console.journey import lanes_of, sent_of
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.requests import StudiesParameters, StudyParameters
from gateway.web.routes import Route, RouteContext

LEVELS: Final = {
    EhrStanding.PARKED: "bad", EhrStanding.WAITS: "warn", EhrStanding.DELIVERED: "good",
    EhrStanding.WITHDRAWN: "warn", EhrStanding.NOT_SENT: "muted",
}  # fmt: skip
"""Standing -> class of its mark."""
ORDER_LEVELS: Final = {
    OrderStanding.HELD: "bad", OrderStanding.DIFFERS: "warn", OrderStanding.UNMATCHED: "muted",
}  # fmt: skip
"""How a study stands with its orders -> class of its mark."""
MOST_INSTANCES: Final = 200
"""Of a series, that are listed."""


class StudiesPageParameters(PageParameters, StudiesParameters):
    pass


class StudyPageParameters(PageParameters, StudyParameters):
    pass


async def show_studies(context: RouteContext, parameters: StudiesPageParameters) -> web.Response:
    """Studies, newest first, by patient, accession number and how they stand at the EHRs."""
    narrow = StudyFilter(parameters.patient, parameters.accession, parameters.standing, parameters.order)
    listed = await context.store.read(lambda c: study_list(c, narrow, before=parameters.before))
    return page(
        context, "studies.html", parameters, title="Studies", current="/studies", asked=parameters, listed=listed,
        standings=list(EhrStanding), order_standings=list(ORDER_LEVELS),
        order_levels=ORDER_LEVELS, levels=LEVELS, looked_at=LOOKED_AT, page_size=PAGE,
        newest=_address(parameters, None) if parameters.before else "",
        older=_address(parameters, listed.next_before) if listed.next_before else "",
    )  # fmt: skip


def _address(parameters: StudiesPageParameters, before: int | None) -> str:
    given = {
        "patient": parameters.patient, "accession": parameters.accession, "standing": parameters.standing or "",
        "order": parameters.order or "", "before": before or "",
    }  # fmt: skip
    return "/studies?" + urlencode({name: value for name, value in given.items() if value})


@dataclass(frozen=True, slots=True)
class _Beside:
    """The resource for one EHR: as it was sent last, and as it would be now."""

    ehr: str
    fault: str
    is_sent: bool
    compared: ResourceDifference | None


async def show_study_page(context: RouteContext, parameters: StudyPageParameters) -> web.Response:
    """A study with its journey, series and instances, and its resource as it would be now beside as it was sent."""
    uid = StudyInstanceUID(parameters.uid)
    previews = await context.views.preview(uid) if context.views.preview is not None else []

    def everything(connection: Connection) -> tuple[StudyDetail | None, Journey | None, list[_Beside]]:
        subject = journey_subject.of_study(connection, uid)
        journey = read(connection, subject) if subject is not None else None
        return studies_view.detail(connection, uid), journey, _beside(connection, uid, previews)

    study, journey, beside = await context.store.read(everything)
    if journey is None:
        raise UnknownKey("no study with this Study Instance UID has arrived or was ordered", place="uid")
    excluded = {one.uid for one in study.exclusions if one.ended is None} if study else set()
    is_sent = uid in sent_of(journey)
    return page(
        context, "study.html", parameters, title="Study", current="/studies", uid=uid, study=study, journey=journey,
        lanes=lanes_of(journey.events), beside=beside, here=f"/studies/{quote(uid, safe='')}", is_sent=is_sent,
        excluded=excluded, most_instances=MOST_INSTANCES, cut=CUT, why_no_pictures=context.views.pictures.why_not,
        corrected_text=corrected_text, moved_text=moved_text,
        order_levels=ORDER_LEVELS,
    )  # fmt: skip


def _beside(connection: Connection, uid: StudyInstanceUID, previews: Sequence[ResourcePreview]) -> list[_Beside]:
    found = []
    for preview in previews:
        sent = outbox.last_sent(connection, Lane(delivery_to(preview.ehr), uid))
        both = difference(sent or {}, preview.resource) if preview.resource is not None else None
        found.append(_Beside(preview.ehr, preview.fault, sent is not None, both))
    return found


ROUTES: Final = (
    Route("GET", "/studies", show_studies, "text/html", StudiesPageParameters),
    Route("GET", "/studies/{uid}", show_study_page, "text/html", StudyPageParameters, (404,)),
)
