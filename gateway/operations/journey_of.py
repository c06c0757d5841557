"""The journey of an accession number, an order, a patient or a study: all stored data of it, and as events by time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from gateway.operations import availability_view, performed_steps_view, studies_view
from gateway.operations.answers.journey import Journey, JourneyMessage, JourneyStep, JourneyStudy, ScannerQueries
from gateway.operations.answers.orders import Order
from gateway.operations.answers.performed_steps import JourneyPerformedStep, SuggestedStep
from gateway.operations.journey_events import events_of
from gateway.operations.journey_subject import JourneySubject, of_accession, of_number
from gateway.operations.unlinked import suggested, suggestion_text
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.row_ids import MessageRow
from gateway.store import Store, lookup_rows, message_numbers, messages, orders, scanner_queries, studies

MOST_NOT_APPLIED: Final = 20
"""Messages of a journey that were not applied, the newest."""
MOST_OF_ORDER: Final = 100
MOST_OF_PATIENT: Final = 50
"""Messages of an order, and of a patient as such: the newest."""
CUT: Final = (
    f"there are more messages: the newest {MOST_OF_ORDER} of each order "
    f"and {MOST_OF_PATIENT} of each patient are listed"
)


async def journey(store: Store, number: str) -> dict[str, Any] | None:
    """The journey of a number of any kind as plain JSON data, None when nothing has it. Raises `Unavailable`."""
    result = await store.read(lambda connection: read(connection, of_number(connection, number)))
    return result.model_dump(mode="json") if result else None


def lines(journey: dict[str, Any]) -> Iterator[str]:
    """For people: whose journey it is, the events by time, then what may have been performed of these orders."""
    for order in journey["orders"]:
        numbers = [f"{name} {order[name]}" for name in ("accession", "placer", "filler") if order[name]]
        yield f"order {order['id']}: {', '.join(numbers)}"
        patient = order["patient"]
        if patient is not None:
            name = patient["attributes"].get("PatientName") or "(no name)"
            yield f"    patient {patient['patient_id']} ({patient['issuer']}): {name}"
        yield from (f"    study {procedure['study_uid']}" for procedure in order["procedures"])
    for event in journey["events"]:
        yield f"{event['at']}  {event['station']:<14}  {event['text']}"
    if journey["messages_cut"]:
        yield CUT
    for one in map(SuggestedStep.model_validate, journey["suggestions"]):
        yield f"perhaps performed: {one.sop_uid}, begun by {one.calling_ae} at {one.begun_at[:19]}Z"
        yield f"    {suggestion_text(one.suggestion)}"


def read_journey(connection: Connection, accession_number: AccessionNumber) -> Journey | None:
    """The journey of an accession number; None when neither an order nor a study has it."""
    found = read(connection, of_accession(connection, accession_number)) if accession_number else None
    return found if found is not None and (found.orders or found.studies or found.performed_steps) else None


def read(connection: Connection, subject: JourneySubject) -> Journey | None:
    """The journey of a subject; None when it has no order, study, performed step or message."""
    rows = list(reversed(orders.search(connection, rows=subject.orders))) if subject.orders else []
    tied = _studies(connection, subject, rows)
    performed = performed_steps_view.of_journey(connection, subject.accession, [row["id"] for row in rows])
    applied, is_cut = _messages(connection, rows)
    message_rows = [*applied, *_not_applied(connection, subject, rows)]
    if not rows and not tied and not performed and not message_rows:
        return None
    step_ids = [step["id"] for row in rows for procedure in row["procedures"] for step in procedure["steps"]]
    order_answers = [Order.model_validate(row) for row in rows]
    scanners = [ScannerQueries.model_validate(row) for row in scanner_queries.askers(connection, step_ids)]
    study_uids = list(_study_uids(rows, performed, tied))
    deliveries = [delivery for uid in study_uids for delivery in studies_view.deliveries(connection, uid)]
    notifications = availability_view.of_studies(connection, study_uids)
    return Journey(
        accession=subject.accession,
        orders=order_answers,
        messages=message_rows,
        messages_cut=is_cut,
        steps=_steps(rows),
        worklist=scanners,
        performed_steps=performed,
        suggestions=suggested(connection, [row["id"] for row in rows]),
        studies=tied,
        notifications=notifications,
        deliveries=deliveries,
        events=events_of(order_answers, message_rows, scanners, performed, tied, notifications, deliveries),
    )


def _study_uids(
    rows: Sequence[dict[str, Any]], performed: Sequence[JourneyPerformedStep], tied: Sequence[JourneyStudy]
) -> Iterable[StudyInstanceUID]:
    """Of the studies that arrived, the orders and the performed steps, each once: an EHR gets orders and performed
    steps before a study has come."""
    of_orders = [StudyInstanceUID(procedure["study_uid"]) for row in rows for procedure in row["procedures"]]
    of_performed = [StudyInstanceUID(uid) for step in performed for uid in step.study_uids]
    return dict.fromkeys([*(study.study_uid for study in tied), *of_orders, *of_performed])


def _messages(connection: Connection, rows: Sequence[dict[str, Any]]) -> tuple[list[JourneyMessage], bool]:
    """The last messages about each order or about its patient as such, one about both once; and whether there are
    more."""
    of_orders = {row["id"]: messages.of_order(connection, row["id"], limit=MOST_OF_ORDER + 1) for row in rows}
    patients = {row["patient"]["id"] for row in rows if row["patient"]}
    of_patients = {one: messages.of_patient(connection, one, limit=MOST_OF_PATIENT + 1) for one in patients}
    found = []
    for row in rows:
        of_order = of_orders[row["id"]][-MOST_OF_ORDER:]
        ids = {message["id"] for message in of_order}
        of_patient = of_patients[row["patient"]["id"]][-MOST_OF_PATIENT:] if row["patient"] else []
        of_both = [*of_order, *(message for message in of_patient if message["id"] not in ids)]
        found += [JourneyMessage.model_validate({**message, "order": row["id"]}) for message in of_both]
    is_cut = any(len(one) > MOST_OF_ORDER for one in of_orders.values())
    is_cut |= any(len(one) > MOST_OF_PATIENT for one in of_patients.values())
    return sorted(found, key=lambda message: (message.id, message.order or 0)), is_cut


def _not_applied(
    connection: Connection, subject: JourneySubject, rows: Sequence[dict[str, Any]]
) -> list[JourneyMessage]:
    """Messages without effect that hold a number of the subject, the oldest first."""
    of_orders = [row[name] for row in rows for name in ("accession", "placer", "filler")]
    uids = [procedure["study_uid"] for row in rows for procedure in row["procedures"]]
    numbers = {*subject.numbers, *subject.studies, subject.accession, *of_orders, *uids} - {""}
    found = message_numbers.numbered(connection, *sorted(numbers), limit=MOST_NOT_APPLIED)
    return [
        JourneyMessage.model_validate({**row, "order": None, "outcome": "not applied"})
        for row in lookup_rows.message_rows(connection, [MessageRow(one) for one in reversed(found)])
    ]


def _steps(rows: Sequence[dict[str, Any]]) -> list[JourneyStep]:
    return [
        JourneyStep.model_validate({**procedure, "order": row["id"], **step})
        for row in rows
        for procedure in row["procedures"]
        for step in procedure["steps"]
    ]


def _studies(connection: Connection, subject: JourneySubject, rows: Sequence[dict[str, Any]]) -> list[JourneyStudy]:
    """Studies of the orders' Study Instance UIDs and of the subject, then those that carry an accession number."""
    by_uid = {procedure["study_uid"] for row in rows for procedure in row["procedures"]}
    numbers = {subject.accession, *(row["accession"] for row in rows)} - {""}
    by_study_uid: dict[str, RowMapping] = {}
    for uid in [*sorted(by_uid), *subject.studies]:
        study = studies.get(connection, StudyInstanceUID(uid))
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
                "tied_by": _tie(uid, by_uid, study["accession"] in numbers),
                "linked": any(order["id"] in ours for order in studies_view.linked(connection, study)),
            }
        )
        for uid, study in by_study_uid.items()
    ]


def _tie(uid: str, ordered: set[str], is_numbered: bool) -> str:
    if uid in ordered:
        return "study_uid"
    return "accession" if is_numbered else "patient"
