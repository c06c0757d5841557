"""The journey of an order, a patient or an accession number: one lane for each of those who take part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final
from urllib.parse import quote

from aiohttp import web
from pydantic import Field

from gateway.errors import UnknownKey
from gateway.operations import journey_subject
from gateway.operations.answers.journey import Event, Journey
from gateway.operations.journey_of import CUT, read
from gateway.operations.journey_subject import JourneySubject
from gateway.operations.why_not_shown import WhyNotShown
from gateway.records.identifiers import AccessionNumber
from gateway.records.row_ids import OrderRow, PatientRow
from gateway.records.work import Activity, WorkKind, WorkState
from gateway.web.console.parameters import PageParameters
from gateway.web.console.rendering import page
from gateway.web.requests import RowId, Words
from gateway.web.routes import Route, RouteContext

LANES: Final = (
    ("RIS", ("order_intake", "ris_status")),
    ("Worklist", ("scheduling", "worklist")),
    ("Scanner", ("performed_step", "step_forwarding")),
    ("Study", ("study_arrival", "image_forwarding", "study_settling", "instance_availability")),
    ("EHR", ("order_telling", "ehr_delivery")),
)
"""Who takes part -> the stations at which they do."""


class JourneyPageParameters(PageParameters):
    scanner: Annotated[Words, Field(description="AE title of which the page states why it does not show the order")] = (
        ""
    )


class RowPageParameters(JourneyPageParameters):
    id: RowId


class AccessionPageParameters(JourneyPageParameters):
    accession: Annotated[Words, Field(min_length=1)]


async def show_order(context: RouteContext, parameters: RowPageParameters) -> web.Response:
    """The journey of an order, and why a scanner does not show it."""
    row = OrderRow(parameters.id)

    def journey_of_order(connection: Any) -> Journey | None:
        subject = journey_subject.of_order(connection, row)
        return read(connection, subject) if subject is not None else None

    journey = await context.store.read(journey_of_order)
    if journey is None:
        raise UnknownKey(f"there is no order {parameters.id}", place="id")
    [order] = journey.orders
    title = f"Order {order.accession or order.placer or order.id}"
    uids = [procedure.study_uid for procedure in order.procedures]
    return await _page(context, parameters, title, journey, f"/orders/{parameters.id}", uids[:1])


async def show_accession(context: RouteContext, parameters: AccessionPageParameters) -> web.Response:
    """The journey of an accession number: all orders and studies that have it."""
    number = AccessionNumber(parameters.accession)
    journey = await context.store.read(lambda c: read(c, journey_subject.of_accession(c, number)))
    if journey is None:
        raise UnknownKey("neither an order, a study nor a message has this accession number", place="accession")
    asked = [number] if journey.orders else []
    return await _page(
        context, parameters, f"Accession number {number}", journey, f"/accessions/{quote(number, safe='')}", asked
    )


async def show_patient(context: RouteContext, parameters: RowPageParameters) -> web.Response:
    """The orders and studies of a patient, and their journeys together; of a merged patient, those of the survivor."""
    row = PatientRow(parameters.id)

    def journey_of_patient(connection: Any) -> tuple[dict[str, Any] | None, Journey | None]:
        patient = journey_subject.patient_row(connection, row)
        subject = journey_subject.of_patient(connection, patient) if patient is not None else JourneySubject()
        return patient, read(connection, subject)

    patient, journey = await context.store.read(journey_of_patient)
    if patient is None:
        raise UnknownKey(f"there is no patient {parameters.id}", place="id")
    title = f"Patient {patient['patient_id']}"
    return await _page(context, parameters, title, journey, f"/patients/{patient['id']}", [], patient=patient)


async def _page(
    context: RouteContext,
    parameters: JourneyPageParameters,
    title: str,
    journey: Journey | None,
    here: str,
    asked: Sequence[str],
    **values: Any,
) -> web.Response:
    """`asked`: the number by which the steps of the order are asked for, if there are any."""
    why: WhyNotShown | None = None
    if parameters.scanner and asked:
        why = await context.why(asked[0], parameters.scanner)
    given: dict[str, Any] = {"patient": None, "journey": journey, "lanes": lanes_of(journey.events if journey else [])}
    return page(
        context, "journey.html", parameters, title=title, here=here, scanner=parameters.scanner, why=why,
        can_ask=bool(asked), scanners=_scanners(context, journey), sent=sent_of(journey), cut=CUT, **(given | values),
    )  # fmt: skip


def lanes_of(events: Sequence[Event]) -> list[tuple[str, list[Event]]]:
    """The events of each lane, the oldest first."""
    return [(name, [event for event in events if event.station in stations]) for name, stations in LANES]


def _scanners(context: RouteContext, journey: Journey | None) -> list[str]:
    """Who may be asked about: scanners of the configuration, those for which steps are, and those that have asked."""
    steps = [title for step in journey.steps for title in step.station_aes] if journey else []
    askers = [queries.calling_ae for queries in journey.worklist] if journey else []
    return list(dict.fromkeys([*context.views.scanners, *steps, *askers]))


def sent_of(journey: Journey | None) -> list[str]:
    """Studies of which an EHR was sent something, which may be sent once more."""
    return [
        one.study_uid
        for one in (journey.deliveries if journey else ())
        if one.state is WorkState.DONE and WorkKind.of(one.kind).activity is Activity.DELIVER
    ]


ROUTES: Final = (
    Route("GET", "/orders/{id}", show_order, "text/html", RowPageParameters, (404,)),
    Route("GET", "/patients/{id}", show_patient, "text/html", RowPageParameters, (404,)),
    Route("GET", "/accessions/{accession}", show_accession, "text/html", AccessionPageParameters, (404,)),
)
