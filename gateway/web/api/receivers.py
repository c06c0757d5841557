"""Handlers and routes of receivers (EHRs, destinations) and of decisions about their work."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final

from pydantic import Field

from gateway.operations import receivers
from gateway.operations.answers import receivers as answers
from gateway.operations.answers import studies as study_answers
from gateway.operations.deliveries import retry_receiver
from gateway.operations.give_up import Decision, give_up, give_up_cause
from gateway.records.row_ids import WorkRow
from gateway.web.requests import THE_API, CauseParameters, Note, Person, RequestParameters, RowParameters, Words
from gateway.web.routes import Notice, Route, RouteContext


class ReceiverParameters(RequestParameters):
    name: Annotated[Words, Field(min_length=1, description="Name of an EHR or a destination")]


class PauseParameters(ReceiverParameters):
    note: Note = ""
    person: Person = ""


class GiveUpParameters(RowParameters):
    note: Note
    person: Person = ""


class GiveUpCauseParameters(CauseParameters):
    note: Note
    person: Person = ""


async def list_receivers(context: RouteContext, _parameters: RequestParameters) -> answers.Receivers:
    """EHRs and destinations: paused or not, and how much work waits for each or needs a person."""
    states = await context.store.read(partial(receivers.states_of, receivers=context.receivers))
    feeds = [answers.FeedState.model_validate(one, from_attributes=True) for one in context.feeds.feeds]
    receivers_now = [answers.ReceiverState.model_validate(one, from_attributes=True) for one in states]
    return answers.Receivers(receivers=receivers_now, feeds=feeds)


async def pause(context: RouteContext, parameters: PauseParameters) -> answers.PauseChanged:
    """Send nothing to a receiver until it is resumed. What is under way ends; orders, worklist and studies go on."""
    person, now = parameters.person or THE_API, context.clock()
    change = partial(receivers.pause, receivers=context.receivers, names=[parameters.name])
    return await context.store.write(partial(change, person=person, note=parameters.note, now=now))


async def resume(context: RouteContext, parameters: ReceiverParameters) -> answers.PauseChanged:
    """Let what waits for a paused receiver be sent, at once."""
    return await context.store.write(partial(receivers.resume, receivers=context.receivers, names=[parameters.name]))


async def retry_all(context: RouteContext, parameters: ReceiverParameters) -> study_answers.RetriedReceiver:
    """Try all work of a receiver now: what is parked or rejected, and what waits for another try.

    A receiver that does not answer is tried once a minute at least; the rest follows when it answers.
    """
    receiver = receivers.receiver_of(context.receivers, parameters.name)
    done, left = await retry_receiver(context.store, receiver, context.clock)
    return study_answers.RetriedReceiver(name=receiver.name, retried=len(done), left=len(left))


async def give_up_delivery(context: RouteContext, parameters: GiveUpParameters) -> study_answers.GivenUp:
    """Give up a delivery that is parked, rejected or waiting, with a note. A retry takes that back.

    409 for work that is done, under way or superseded.
    """
    decision = Decision(parameters.person or THE_API, parameters.note)
    done = await give_up(context.store, [WorkRow(parameters.id)], decision, context.clock)
    return study_answers.GivenUp(given_up=done, left=0)


async def give_up_all(context: RouteContext, parameters: GiveUpCauseParameters) -> study_answers.GivenUp:
    """Give up all work that is parked or rejected for a cause, with a note."""
    decision = Decision(parameters.person or THE_API, parameters.note)
    done, left = await give_up_cause(context.store, parameters.key, decision, context.clock)
    return study_answers.GivenUp(given_up=done, left=len(left))


def _given_up(answer: study_answers.GivenUp) -> Notice:
    return Notice("given_up", len(answer.given_up))


def _paused(answer: answers.PauseChanged) -> Notice:
    return Notice("paused" if answer.paused else "resumed", len(answer.changed))


_NAME, _CAUSE = "/api/receivers/{name}", "/api/causes/{key}"
ROUTES: Final = (
    Route("GET", "/api/receivers", list_receivers, answers.Receivers),
    Route("POST", f"{_NAME}/pause", pause, answers.PauseChanged, PauseParameters, (404,), notice=_paused),
    Route("POST", f"{_NAME}/resume", resume, answers.PauseChanged, ReceiverParameters, (404,), notice=_paused),
    Route(
        "POST", f"{_NAME}/retry", retry_all, study_answers.RetriedReceiver, ReceiverParameters, (404,),
        notice=lambda answer: Notice("cause_retried", answer.retried),
    ),
    Route(
        "POST", "/api/deliveries/{id}/give-up", give_up_delivery, study_answers.GivenUp, GiveUpParameters,
        (404, 409, 422), notice=_given_up,
    ),
    Route(
        "POST", f"{_CAUSE}/give-up", give_up_all, study_answers.GivenUp, GiveUpCauseParameters, (404, 422),
        notice=_given_up,
    ),
)  # fmt: skip
