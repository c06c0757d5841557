"""The journey of one accession number: all stored data of it, and the same as events by time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping

from gateway.journey import STATIONS
from gateway.operations import availability_view, performed_steps_view, studies_view, work_events
from gateway.operations.answers.answer import listed
from gateway.operations.answers.availability import JourneyNotification
from gateway.operations.answers.journey import Event, Journey, JourneyMessage, JourneyStep, JourneyStudy, ScannerQueries
from gateway.operations.answers.orders import Order
from gateway.operations.answers.performed_steps import JourneyPerformedStep, SuggestedStep
from gateway.operations.answers.studies import Delivery
from gateway.operations.unlinked import suggested, suggestion_text
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.store import Store, messages, orders, studies, worklist


async def journey(store: Store, accession_number: AccessionNumber) -> dict[str, Any] | None:
    """The journey as plain JSON data, None when neither an order nor a study has this number. Raises `Unavailable`."""
    result = await store.read(lambda connection: read_journey(connection, accession_number))
    return result.model_dump(mode="json") if result else None


def lines(journey: dict[str, Any]) -> Iterator[str]:
    """For people: the events by time, then what may have been performed of these orders."""
    for event in journey["events"]:
        yield f"{event['at']}  {event['station']:<14}  {event['text']}"
    for one in map(SuggestedStep.model_validate, journey["suggestions"]):
        yield f"perhaps performed: {one.sop_uid}, begun by {one.calling_ae} at {one.begun_at[:19]}Z"
        yield f"    {suggestion_text(one.suggestion)}"


def read_journey(connection: Connection, accession_number: AccessionNumber) -> Journey | None:
    """The journey of an accession number."""
    if not accession_number:
        return None
    rows = list(reversed(orders.search(connection, accession_number=accession_number)))
    tied = _studies(connection, accession_number, rows)
    performed = performed_steps_view.of_journey(connection, accession_number, [row["id"] for row in rows])
    if not rows and not tied and not performed:
        return None
    step_ids = [step["id"] for row in rows for procedure in row["procedures"] for step in procedure["steps"]]
    order_answers = [Order.model_validate(row) for row in rows]
    message_rows = _messages(connection, rows)
    scanners = [ScannerQueries.model_validate(row) for row in worklist.askers(connection, step_ids)]
    study_uids = list(_study_uids(rows, performed, tied))
    deliveries = [delivery for uid in study_uids for delivery in studies_view.deliveries(connection, uid)]
    notifications = availability_view.of_studies(connection, study_uids)
    return Journey(
        accession=accession_number,
        orders=order_answers,
        messages=message_rows,
        steps=_steps(rows),
        worklist=scanners,
        performed_steps=performed,
        suggestions=suggested(connection, [row["id"] for row in rows]),
        studies=tied,
        notifications=notifications,
        deliveries=deliveries,
        events=_events(order_answers, message_rows, scanners, performed, tied, notifications, deliveries),
    )


def _study_uids(
    rows: Sequence[dict[str, Any]], performed: Sequence[JourneyPerformedStep], tied: Sequence[JourneyStudy]
) -> Iterable[StudyInstanceUID]:
    """Of the studies that arrived, the orders and the performed steps, each once: an EHR gets orders and performed
    steps before a study has come."""
    of_orders = [StudyInstanceUID(procedure["study_uid"]) for row in rows for procedure in row["procedures"]]
    of_performed = [StudyInstanceUID(uid) for step in performed for uid in step.study_uids]
    return dict.fromkeys([*(study.study_uid for study in tied), *of_orders, *of_performed])


def _messages(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[JourneyMessage]:
    found = [
        JourneyMessage.model_validate({**message, "order": row["id"]})
        for row in rows
        for message in _messages_of(connection, row)
    ]
    return sorted(found, key=lambda message: (message.id, message.order))


def _messages_of(connection: Connection, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Messages about an order or about its patient as such; a message about both is listed once."""
    of_order = messages.of_order(connection, row["id"])
    ids = {message["id"] for message in of_order}
    of_patient = messages.of_patient(connection, row["patient"]["id"]) if row["patient"] else []
    return [*of_order, *(message for message in of_patient if message["id"] not in ids)]


def _steps(rows: Sequence[dict[str, Any]]) -> list[JourneyStep]:
    return [
        JourneyStep.model_validate({**procedure, "order": row["id"], **step})
        for row in rows
        for procedure in row["procedures"]
        for step in procedure["steps"]
    ]


def _studies(
    connection: Connection, accession_number: AccessionNumber, rows: Sequence[dict[str, Any]]
) -> list[JourneyStudy]:
    """Studies of the orders' Study Instance UIDs, then those that carry the accession number."""
    by_uid = {procedure["study_uid"] for row in rows for procedure in row["procedures"]}
    numbers = {accession_number, *(row["accession"] for row in rows)} - {""}
    by_study_uid: dict[str, RowMapping] = {}
    for uid in sorted(by_uid):
        study = studies.get(connection, uid)
        if study is not None:
            by_study_uid[uid] = study
    for number in sorted(numbers):
        for study in studies.of_accession_number(connection, number):
            by_study_uid.setdefault(study["study_uid"], study)
    ours = {row["id"] for row in rows}
    return [
        JourneyStudy.model_validate(
            {
                **studies_view.summary(connection, study),
                "tied_by": "study_uid" if uid in by_uid else "accession",
                "linked": any(order["id"] in ours for order in studies_view.linked(connection, study)),
            }
        )
        for uid, study in by_study_uid.items()
    ]


def _events(
    order_answers: Sequence[Order],
    message_rows: Sequence[JourneyMessage],
    scanners: Sequence[ScannerQueries],
    performed: Sequence[JourneyPerformedStep],
    tied: Sequence[JourneyStudy],
    notifications: Sequence[JourneyNotification],
    deliveries: Sequence[Delivery],
) -> list[Event]:
    events = [
        *_of_messages(message_rows),
        *(event for order in order_answers for event in _of_order(order)),
        *(_of_scanner(queries) for queries in scanners),
        *(event for step in performed for event in performed_steps_view.events_of(step)),
        *(event for study in tied for event in _of_study(study, named=len(tied) > 1)),
        *map(availability_view.event_of, notifications),
        *(event for delivery in deliveries for event in work_events.events_of(delivery)),
    ]
    return sorted(events, key=lambda event: (event.at, STATIONS.index(event.station)))


def _of_messages(message_rows: Sequence[JourneyMessage]) -> Iterator[Event]:
    outcomes: dict[int, list[str]] = {}
    for message in message_rows:
        outcomes.setdefault(message.id, []).append(message.outcome)
    for message in {message.id: message for message in message_rows}.values():
        outcome = ", ".join(dict.fromkeys(outcomes[message.id]))
        text = f"{message.type} {message.control_id} received from {message.listener}, {message.ack_code} ({outcome})"
        yield Event(at=message.received_at, station="order_intake", text=text + listed(message.findings))


def _of_order(order: Order) -> Iterator[Event]:
    for procedure in order.procedures:
        for step in procedure.steps:
            where = f" at {', '.join(step.station_aes)}" if step.station_aes else ""
            what = " ".join(filter(None, (step.modality, _when(step.start_date, step.start_time)))) + where
            new = step.updated_at <= order.created_at
            text = f"step {step.state.value.lower()} {what}" if new else f"step now {step.state.value.lower()}: {what}"
            yield Event(at=step.updated_at, station="scheduling", text=text)


def _when(date: str, time: str) -> str:
    """DA and TM for people; what is not of their shape stays as it is."""
    day = f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 else date
    return f"{day} {time[:2]}:{time[2:4]}" if len(time) >= 4 else day


def _of_scanner(queries: ScannerQueries) -> Event:
    times = "once" if queries.times == 1 else f"{queries.times} times, last at {queries.last_at}"
    return Event(at=queries.first_at, station="worklist", text=f"worklist answered {queries.calling_ae} ({times})")


def _of_study(study: JourneyStudy, *, named: bool) -> Iterator[Event]:
    which = f" of study {study.study_uid}" if named else ""
    stray = "" if study.linked else "; no order here is linked to it"
    if study.first_at != study.last_at:
        text = f"first instance{which} arrived from {study.source_ae}"
        yield Event(at=study.first_at, station="study_arrival", text=text)
    counted = f"{_count(study.instance_count, 'instance')} in {study.series_count} series"
    text = f"{counted}{which} arrived from {study.source_ae}{stray}"
    yield Event(at=study.last_at, station="study_arrival", text=text)
    if study.withdrawn_at is not None:
        yield Event(at=study.withdrawn_at, station="study_settling", text=f"withdrawn{which}: it was entered in error")
    if study.settled_at is not None:
        grown = "" if study.settled_revision == study.revision else "; changed since"
        text = f"settled{which}{grown}{listed(study.findings)}"
        yield Event(at=study.settled_at, station="study_settling", text=text)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
