"""What was not applied or could not be read: by cause, worked on again by cause, put away with a note."""

from __future__ import annotations

from functools import partial
from typing import Final

from pydantic import Field

from gateway.operations.answers import put_away as answers
from gateway.operations.put_away import open_causes, put_cause_away
from gateway.operations.repeat_messages import repeat_cause
from gateway.records.put_away import Kind, PutAway
from gateway.store import put_away
from gateway.web import requests
from gateway.web.routes import Notice, Route, RouteContext


class RowPutAway(requests.RowParameters):
    note: requests.Words = Field(default="", description="Why, for those who come later; must not be empty")
    person: requests.Words = Field(default="", description="Who decides: kept, not checked; default: of the login")


class CausePutAway(requests.CauseParameters):
    note: requests.Words = Field(default="", description="Why, for those who come later; must not be empty")
    person: requests.Words = Field(default="", description="Who decides: kept, not checked; default: of the login")


async def list_message_causes(context: RouteContext, _parameters: requests.NoParameters) -> answers.OpenCauses:
    """Messages that were not applied and what arrived unreadable, by cause, without what was put away."""
    causes = await context.store.read(open_causes)
    return answers.OpenCauses.model_validate(causes, from_attributes=True)


async def put_message_cause_away(context: RouteContext, parameters: CausePutAway) -> answers.PutAwayNumber:
    """Put away all that calls for a person for a cause."""
    by = PutAway(context.clock(), parameters.person, parameters.note)
    return answers.PutAwayNumber(count=await put_cause_away(context.store, parameters.key, by))


async def replay_message_cause(context: RouteContext, parameters: requests.CauseParameters) -> answers.RepeatedCause:
    """Work again on messages that were not applied for a cause, at most 1,000 at a time; not on those put away."""
    repeated = await repeat_cause(context.store, parameters.key, context.replay_message)
    return answers.RepeatedCause.model_validate(repeated, from_attributes=True)


async def put_message_away(context: RouteContext, parameters: RowPutAway) -> answers.PutAwayNumber:
    """Put away a message that was not applied: it calls for nobody any more."""
    return await _put_away(context, Kind.MESSAGE, parameters)


async def take_message_back(context: RouteContext, parameters: requests.RowParameters) -> answers.PutAwayNumber:
    """Let a message that was put away call for a person again."""
    return await _take_back(context, Kind.MESSAGE, parameters)


async def put_refusal_away(context: RouteContext, parameters: RowPutAway) -> answers.PutAwayNumber:
    """Put away what arrived unreadable."""
    return await _put_away(context, Kind.REFUSAL, parameters)


async def take_refusal_back(context: RouteContext, parameters: requests.RowParameters) -> answers.PutAwayNumber:
    """Let what arrived unreadable call for a person again."""
    return await _take_back(context, Kind.REFUSAL, parameters)


async def _put_away(context: RouteContext, kind: Kind, parameters: RowPutAway) -> answers.PutAwayNumber:
    by = PutAway(context.clock(), parameters.person, parameters.note)
    count = await context.store.write(partial(put_away.put_away, kind=kind, ids=[parameters.id], by=by))
    return answers.PutAwayNumber(count=count)


async def _take_back(context: RouteContext, kind: Kind, parameters: requests.RowParameters) -> answers.PutAwayNumber:
    count = await context.store.write(partial(put_away.take_back, kind=kind, ids=[parameters.id]))
    return answers.PutAwayNumber(count=count)


def _put(answer: answers.PutAwayNumber) -> Notice:
    return Notice("put_away", answer.count)


def _taken_back(answer: answers.PutAwayNumber) -> Notice:
    return Notice("taken_back", answer.count)


def _repeated(answer: answers.RepeatedCause) -> Notice:
    return Notice(
        "messages_left" if answer.left else "messages_failed" if answer.failed else "messages_applied",
        answer.failed or answer.applied,
    )


_MESSAGE, _REFUSAL, _CAUSE = "/api/messages/{id}", "/api/refusals/{id}", "/api/message-causes/{key}"
_NUMBER: Final = answers.PutAwayNumber
ROUTES: Final = (
    Route("GET", "/api/message-causes", list_message_causes, answers.OpenCauses),
    Route("POST", f"{_CAUSE}/put-away", put_message_cause_away, _NUMBER, CausePutAway, (404, 422), notice=_put),
    Route(
        "POST", f"{_CAUSE}/replay", replay_message_cause, answers.RepeatedCause, requests.CauseParameters, (404,),
        notice=_repeated,
    ),
    Route("POST", f"{_MESSAGE}/put-away", put_message_away, _NUMBER, RowPutAway, (404, 409, 422), notice=_put),
    Route(
        "POST", f"{_MESSAGE}/take-back", take_message_back, _NUMBER, requests.RowParameters, (404, 409),
        notice=_taken_back,
    ),
    Route("POST", f"{_REFUSAL}/put-away", put_refusal_away, _NUMBER, RowPutAway, (404, 422), notice=_put),
    Route(
        "POST", f"{_REFUSAL}/take-back", take_refusal_back, _NUMBER, requests.RowParameters, (404,),
        notice=_taken_back,
    ),
)  # fmt: skip
