"""Handlers and routes of what is sent once more, changed or not."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Annotated, Final

from pydantic import Field

from gateway.errors import InvalidValue
from gateway.operations.answers import receivers as answers
from gateway.operations.receivers import receiver_of
from gateway.operations.resend import resend_study
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.receiver import ReceiverType
from gateway.web.api.receivers import ReceiverParameters
from gateway.web.requests import Day, StudyParameters
from gateway.web.routes import Notice, Route, RouteContext


class ResendParameters(ReceiverParameters):
    since: Day = Field(default="", description="What was added from this day on, in the site's zone; empty: all")
    per_second: Annotated[float, Field(ge=0.01, le=10_000, description="Deliveries that fall due in a second")] = 10.0


async def resend_to_receiver(context: RouteContext, parameters: ResendParameters) -> answers.FeedState:
    """Send an EHR once more, changed or not, what it was sent last of every study and order: it has lost data.

    Goes on in the background; 409 while one is under way.
    """
    receiver = receiver_of(context.receivers, parameters.name)
    if receiver.type is not ReceiverType.EHR:
        raise InvalidValue(f"it is a {receiver.type}; EHRs alone are sent everything again", place="name")
    first = _beginning(parameters.since, context.zone) if parameters.since else 0
    feed = await context.feeds.begin(receiver.name, first=first, per_second=parameters.per_second)
    return answers.FeedState.model_validate(feed, from_attributes=True)


def _beginning(day: str, zone: tzinfo) -> int:
    return round(datetime.strptime(day, "%Y%m%d").replace(tzinfo=zone).timestamp() * 1_000_000)


async def resend_one_study(context: RouteContext, parameters: StudyParameters) -> answers.Resent:
    """Send EHRs once more, changed or not, what they were sent last of a study and its order.

    404 when nothing of the study was delivered, or all of it waits or is parked.
    """
    number = await resend_study(context.store, StudyInstanceUID(parameters.uid), context.clock)
    return answers.Resent(study_uid=parameters.uid, deliveries=number)


def _fed(answer: answers.FeedState) -> Notice:
    return Notice("fed" if answer.finished else "feeding", answer.added)


ROUTES: Final = (
    Route(
        "POST", "/api/receivers/{name}/resend", resend_to_receiver, answers.FeedState, ResendParameters, (404, 409),
        notice=_fed,
    ),
    Route(
        "POST", "/api/studies/{uid}/resend", resend_one_study, answers.Resent, StudyParameters, (404,),
        notice=lambda answer: Notice("resent", answer.deliveries),
    ),
)  # fmt: skip
