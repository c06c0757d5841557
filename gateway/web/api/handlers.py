"""The handlers and the route table: what is not in `ROUTES` is neither served nor documented."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from functools import partial
from typing import Any, Final

from aiohttp import web

from gateway.errors import Unavailable, UnknownKey
from gateway.observe import metrics
from gateway.operations import studies_view
from gateway.operations.answers import (
    answer,
)
from gateway.operations.answers import (
    journey as journey_answers,
)
from gateway.operations.answers import (
    orders as order_answers,
)
from gateway.operations.answers import (
    state as state_answers,
)
from gateway.operations.answers import (
    studies as study_answers,
)
from gateway.operations.deliveries import work_page
from gateway.operations.journey_of import read_journey
from gateway.operations.replay import replay_cause
from gateway.operations.state.components import examine
from gateway.operations.state.part import SEVERITY
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.row_ids import MessageRow, WorkRow
from gateway.store import message_listing, messages, order_conflicts, orders, outbox_listing, refusals, worklist
from gateway.web import requests
from gateway.web.routes import Notice, Route, RouteContext

KEYS_SECONDS: Final = 60
"""How long an EHR may keep our JWK Set."""


async def live(context: RouteContext, parameters: requests.NoParameters) -> state_answers.Live:
    """Whether the process serves at all."""
    return state_answers.Live()


async def ready(context: RouteContext, parameters: requests.NoParameters) -> web.Response:
    """Whether every component can do its work.

    200 when all are well, 503 otherwise; the body is the same.
    """
    components = await examine(context.store, context.components)
    well = all(component.ok for component in components.values())
    states = {
        name: state_answers.ComponentState(ok=component.ok, detail=component.detail)
        for name, component in components.items()
    }
    body = state_answers.Ready(status="ready" if well else "not ready", components=states)
    return as_json(body, status=200 if well else 503)


async def show_state(context: RouteContext, parameters: requests.NoParameters) -> state_answers.GatewayState:
    """How each part of the gateway is, and which call for a person."""
    return state_answers.GatewayState.of(await context.state())


async def show_metrics(context: RouteContext, parameters: requests.NoParameters) -> web.Response:
    """Counters, for Prometheus."""
    try:
        waiting = await context.store.read(outbox_listing.counts)
        standings = await context.store.read(order_conflicts.counts)
    except Unavailable:
        waiting, standings = None, {}
    parts = (await context.state()).parts
    metrics.show_parts((part.kind.value, part.name, SEVERITY[part.level]) for part in parts)
    page = await context.all_metrics(partial(metrics.render, waiting, standings))
    return web.Response(body=page, content_type="text/plain", charset="utf-8")


async def openapi(context: RouteContext, parameters: requests.NoParameters) -> web.Response:
    """This document."""
    return web.json_response(await asyncio.to_thread(context.document))


async def show_keys(context: RouteContext, parameters: requests.NoParameters) -> web.Response:
    """The public keys that EHRs check our assertions with: a JWK Set (RFC 7517 5)."""
    # Short: a key that was just added is asked for soon, and a removed one should be forgotten soon.
    headers = {"Cache-Control": f"public, max-age={KEYS_SECONDS}"}
    return web.json_response(context.published_keys(), headers=headers)


async def find_orders(context: RouteContext, parameters: requests.OrdersParameters) -> order_answers.Orders:
    """Orders with their patient, procedures and steps, newest first."""
    rows = await context.store.read(
        lambda connection: orders.search(
            connection, accession_number=parameters.accession, patient=parameters.patient, limit=parameters.limit
        )
    )
    return order_answers.Orders(orders=[order_answers.Order.model_validate(row) for row in rows])


async def show_worklist(context: RouteContext, parameters: requests.WorklistParameters) -> order_answers.WorklistItems:
    """The steps that a scanner would be offered, in the order in which they are to be done."""
    rows = await context.store.read(
        lambda connection: worklist.scheduled(
            connection, hidden=context.hidden_states, first_day=context.first_day(context.clock()),
            date=parameters.date, modality=parameters.modality, station_ae=parameters.station, limit=parameters.limit,
        )
    )  # fmt: skip
    return order_answers.WorklistItems(items=[order_answers.WorklistItem.model_validate(row) for row in rows])


async def show_journey(context: RouteContext, parameters: requests.JourneyParameters) -> journey_answers.Journey:
    """All stored data of an accession number, and the same as events by time."""
    journey = await context.store.read(
        lambda connection: read_journey(connection, AccessionNumber(parameters.accession))
    )
    if journey is None:
        raise UnknownKey("neither an order nor a study has this accession number", place="accession")
    return journey


async def show_why(context: RouteContext, parameters: requests.WhyParameters) -> journey_answers.Why:
    """What keeps an order off a scanner: which state, key or rule, when it last asked and what it was answered."""
    explanation = await context.why(parameters.accession, parameters.station)
    if explanation is None:
        raise UnknownKey("nothing was ordered under this number", place="accession")
    return journey_answers.Why.model_validate(explanation, from_attributes=True)


async def show_study(context: RouteContext, parameters: requests.StudyParameters) -> study_answers.StudyDetail:
    """A study with its series and instances, the orders it answers and its deliveries."""
    study = await context.store.read(
        lambda connection: studies_view.detail(connection, StudyInstanceUID(parameters.uid))
    )
    if study is None:
        raise UnknownKey("no instance of a study with this Study Instance UID has arrived", place="uid")
    return study


async def list_messages(context: RouteContext, parameters: requests.MessagesParameters) -> order_answers.Messages:
    """HL7 messages, newest first."""
    rows = await context.store.read(
        lambda connection: messages.listing(
            connection, state=parameters.state, limit=parameters.limit, before=parameters.before
        )
    )
    page = [order_answers.Message.model_validate(row) for row in rows]
    return order_answers.Messages(messages=page, next_before=_next(rows, parameters.limit))


async def show_message(context: RouteContext, parameters: requests.RowParameters) -> order_answers.MessageDetail:
    """One HL7 message with its segments, its acknowledgement and what was wrong with it."""
    row = await context.store.read(lambda connection: messages.get(connection, MessageRow(parameters.id)))
    if row is None:
        raise UnknownKey(f"there is no message {parameters.id}", place="id")
    orders, patients = await context.store.read(partial(message_listing.touched, message=parameters.id))
    return order_answers.MessageDetail.model_validate(
        {
            **row, "body": as_text(row["body"]), "ack": as_text(row["ack"]), "orders": list(map(asdict, orders)),
            "patients": list(map(asdict, patients)),
        }
    )  # fmt: skip


async def replay(context: RouteContext, parameters: requests.RowParameters) -> order_answers.Replayed:
    """Work on a kept message again, with today's mappings.

    Answers with its new acknowledgement code; the sender is not notified.
    """
    return order_answers.Replayed(id=parameters.id, ack_code=await context.replay_message(MessageRow(parameters.id)))


async def list_deliveries(context: RouteContext, parameters: requests.DeliveriesParameters) -> study_answers.Deliveries:
    """Work of the outbox, newest first."""
    page = await context.store.read(
        lambda connection: work_page(
            connection, context.receivers, name=parameters.receiver, state=parameters.state, limit=parameters.limit,
            before=parameters.before,
        )
    )  # fmt: skip
    return study_answers.Deliveries.model_validate(
        {**asdict(page), "deliveries": [study_answers.Delivery.model_validate(row) for row in page.rows]}
    )


async def retry(context: RouteContext, parameters: requests.RowParameters) -> study_answers.Retried:
    """Try parked, rejected or waiting work again now.

    409 for work that is done, under way or superseded.
    """
    now = context.clock()
    await context.store.write(lambda connection: outbox_listing.replay(connection, [WorkRow(parameters.id)], now=now))
    return study_answers.Retried(id=parameters.id)


async def list_causes(context: RouteContext, _parameters: requests.NoParameters) -> study_answers.Causes:
    """What is parked or rejected, by cause, the most frequent first."""
    groups = await context.store.read(outbox_listing.stuck)
    return study_answers.Causes(causes=[
        study_answers.Cause(
            key=group.cause.key, kind=str(group.cause.kind), text=group.cause.text, count=group.count,
            first_at=group.first_at, last_at=group.last_at, example=group.newest, outcome=group.outcome,
        )
        for group in groups
    ])  # fmt: skip


async def retry_cause(context: RouteContext, parameters: requests.CauseParameters) -> study_answers.RetriedCause:
    """Try all work of a cause again now."""
    done, left = await replay_cause(context.store, parameters.key, context.clock)
    return study_answers.RetriedCause(key=parameters.key, retried=done, left=len(left))


async def list_refusals(context: RouteContext, parameters: requests.RefusalsParameters) -> state_answers.Refusals:
    """What arrived and could not be read at all, newest first."""
    rows = await context.store.read(lambda connection: refusals.listing(connection, limit=parameters.limit))
    return state_answers.Refusals(refusals=[state_answers.Refusal.model_validate(row) for row in rows])


ROUTES: Final = (
    Route("GET", "/health/live", live, state_answers.Live, open=True),
    Route("GET", "/health/ready", ready, state_answers.Ready, also=(503,), open=True),
    Route("GET", "/api/state", show_state, state_answers.GatewayState),
    Route("GET", "/metrics", show_metrics, "text/plain"),
    Route("GET", "/.well-known/jwks.json", show_keys, "application/json", open=True),
    Route("GET", "/api/openapi.json", openapi, "application/json"),
    Route("GET", "/api/orders", find_orders, order_answers.Orders, requests.OrdersParameters),
    Route("GET", "/api/worklist", show_worklist, order_answers.WorklistItems, requests.WorklistParameters),
    Route("GET", "/api/journey/{accession}", show_journey, journey_answers.Journey, requests.JourneyParameters, (404,)),
    Route("GET", "/api/why/{accession}", show_why, journey_answers.Why, requests.WhyParameters, (404,)),
    Route("GET", "/api/studies/{uid}", show_study, study_answers.StudyDetail, requests.StudyParameters, (404,)),
    Route("GET", "/api/messages", list_messages, order_answers.Messages, requests.MessagesParameters),
    Route("GET", "/api/messages/{id}", show_message, order_answers.MessageDetail, requests.RowParameters, (404,),
          shows_texts=True),
    Route(
        "POST", "/api/messages/{id}/replay", replay, order_answers.Replayed, requests.RowParameters, (404, 422),
        notice=lambda answer: Notice("message_replayed" if answer.ack_code == "AA" else "message_not_applied"),
    ),
    Route("GET", "/api/deliveries", list_deliveries, study_answers.Deliveries, requests.DeliveriesParameters, (404,)),
    Route("GET", "/api/causes", list_causes, study_answers.Causes),
    Route(
        "POST", "/api/causes/{key}/retry", retry_cause, study_answers.RetriedCause, requests.CauseParameters, (404,),
        notice=lambda answer: Notice("cause_retried", len(answer.retried)),
    ),
    Route(
        "POST", "/api/deliveries/{id}/retry", retry, study_answers.Retried, requests.RowParameters, (404, 409),
        notice=lambda _: Notice("delivery_retried"),
    ),
    Route("GET", "/api/refusals", list_refusals, state_answers.Refusals, requests.RefusalsParameters),
)  # fmt: skip


def as_json(answer: answer.Answer, *, status: int = 200) -> web.Response:
    """The model as a JSON answer."""
    return web.Response(text=answer.model_dump_json(), content_type="application/json", status=status)


def as_text(raw: bytes) -> answer.Text:
    """HL7 bytes for people, split at segment ends (HL7 2.5.1 ch. 2.5.1, and the line feeds some senders use).

    Every byte is shown, whatever its character set; the gateway itself reads messages by MSH-18.
    """
    try:
        text, encoding = raw.decode(), "utf-8"
    except UnicodeDecodeError:
        text, encoding = raw.decode("latin-1"), "latin-1"
    lines = text.replace("\r\n", "\r").replace("\n", "\r").split("\r")
    return answer.Text.model_validate({"encoding": encoding, "segments": [line for line in lines if line]})


def _next(rows: list[dict[str, Any]], limit: int) -> int | None:
    return int(rows[-1]["id"]) if len(rows) == limit else None
