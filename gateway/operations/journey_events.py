"""A journey as events by time, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.journey import STATIONS
from gateway.operations import availability_view, moved_view, performed_steps_view, work_events
from gateway.operations.answers.answer import listed
from gateway.operations.answers.availability import JourneyNotification
from gateway.operations.answers.completeness import text_of
from gateway.operations.answers.journey import Event, JourneyMessage, JourneyStudy, Level, ScannerQueries
from gateway.operations.answers.orders import Order
from gateway.operations.answers.performed_steps import JourneyPerformedStep
from gateway.operations.answers.studies import ImagesAtDestination, JourneyDelivery
from gateway.operations.order_meeting import conflict_text
from gateway.records.completeness import Decision
from gateway.records.message import APPLIED
from gateway.records.order_check import CheckPolicy
from gateway.records.work import SETTLE, WorkKind, WorkState


def events_of(
    order_answers: Sequence[Order],
    message_rows: Sequence[JourneyMessage],
    scanners: Sequence[ScannerQueries],
    performed: Sequence[JourneyPerformedStep],
    tied: Sequence[JourneyStudy],
    notifications: Sequence[JourneyNotification],
    deliveries: Sequence[JourneyDelivery],
) -> list[Event]:
    """All of it, the oldest first."""
    events = [
        *_of_messages(message_rows),
        *(event for order in order_answers for event in _of_order(order)),
        *(_of_scanner(queries) for queries in scanners),
        *(event for step in performed for event in performed_steps_view.events_of(step)),
        *(event for study in tied for event in _of_study(study, named=len(tied) > 1)),
        *(event for study in tied for event in moved_view.events_of(study, named=len(tied) > 1)),
        *(event for study in tied for event in _of_images(study, named=len(tied) > 1)),
        *map(availability_view.event_of, notifications),
        *_of_settlements(deliveries),
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
        yield Event(
            at=message.received_at, station="order_intake", text=text + listed(message.findings), message=message.id,
            level="" if message.state in APPLIED else "bad",
        )  # fmt: skip


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
    stray = "" if study.linked else _unlinked(study)
    if study.first_at != study.last_at:
        text = f"first instance{which} arrived from {study.source_ae}"
        yield Event(at=study.first_at, station="study_arrival", text=text)
    counted = f"{_count(study.instance_count, 'instance')} in {study.series_count} series"
    text = f"{counted}{which} arrived from {study.source_ae}{stray}"
    yield Event(at=study.last_at, station="study_arrival", text=text)
    if study.withdrawn_at is not None:
        why = f": {study.withdrawn_reason}" if study.withdrawn_reason else ": it was entered in error"
        who = f" by {study.withdrawn_by}" if study.withdrawn_by else ""
        text = f"withdrawn{which}{who}{why}"
        yield Event(at=study.withdrawn_at, station="study_settling", text=text, level="warn")
    for one in study.conflicts:
        if one.ended_at is None:
            held: Level = "bad" if one.policy is CheckPolicy.HOLD and one.released is None else "warn"
            text = f"images{which} and order differ: {conflict_text(one)}"
            yield Event(at=one.since, station="study_settling", text=text, level=held)
    if study.settled_at is not None:
        grown = "" if study.settled_revision == study.revision else "; changed since"
        why = f", as {study.settled_because.text}" if study.settled_because is not None else ""
        text = f"settled{which}{why}{grown}{listed(study.findings)}"
        yield Event(at=study.settled_at, station="study_settling", text=text)
    if study.waits_because is not None and study.waits_because.missing:
        text = f"{study.waits_because.text}{which}"
        yield Event(at=study.last_at, station="study_settling", text=text, level="warn")


def _unlinked(study: JourneyStudy) -> str:
    """Which orders it is not linked with, as they state something different, or that there is none."""
    orders = dict.fromkeys(f"order {one.order}" for one in study.conflicts if one.ended_at is None)
    return f"; it is not linked with {', '.join(orders)}: they differ" if orders else "; no order here is linked to it"


def _of_settlements(deliveries: Sequence[JourneyDelivery]) -> Iterator[Event]:
    """Why studies settled before they settled last, which is shown with the study."""
    done = [
        one for one in deliveries if WorkKind.of(one.kind) == SETTLE and one.state is WorkState.DONE and one.outcome
    ]
    last = {one.study_uid: one.id for one in done}
    for one in done:
        because = (one.outcome or {}).get("because")
        if one.id != last[one.study_uid] and because is not None and one.finished_at is not None:
            text = f"settled before, as {text_of(Decision.of_row(because))}"
            yield Event(at=one.finished_at, station="study_settling", text=text)


def _of_images(study: JourneyStudy, *, named: bool) -> Iterator[Event]:
    which = f" of study {study.study_uid}" if named else ""
    for one in study.images:
        numbers = ((one.waiting, "waiting"), (one.failed, "parked"), (one.given_up, "given up"))
        others = "".join(f", {number} {what}" for number, what in numbers if number)
        corrected = f"; corrected: {corrected_text(one)}" if one.corrected else ""
        text = f"{_count(one.sent, 'instance')}{which} sent to {one.destination}{others}{corrected}"
        level: Level = "bad" if one.failed else "" if one.waiting or one.given_up else "good"
        yield Event(at=one.last_at or study.last_at, station="image_forwarding", text=text, level=level)


def corrected_text(images: ImagesAtDestination) -> str:
    """Which attributes were corrected, and of how many instances where not of all that were sent."""
    of_all = images.sent
    return ", ".join(
        keyword if number == of_all else f"{keyword} of {number}" for keyword, number in images.corrected.items()
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
