"""Rows of the outbox as events of a journey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from gateway.operations.answers.journey import Event, Level
from gateway.operations.answers.studies import JourneyDelivery, Try
from gateway.records.work import STUCK, Activity, WorkKind, WorkState

_S = WorkState
DELIVERED: Final = {
    _S.PENDING: "delivery to {to} is due at {due}",
    _S.LEASED: "delivery to {to} is under way, try {attempts}",
    _S.DONE: "delivered to {to} as {resource}/{id} version {version}{more}",
    _S.PARKED: "delivery to {to} parked: {why}",
    _S.REJECTED: "delivery to {to} rejected: {why}",
    _S.SUPERSEDED: "a later version took the place of this delivery to {to}",
}
STATUS_SENT: Final = {
    _S.PENDING: "status to {to} is due at {due}",
    _S.LEASED: "status to {to} is under way, try {attempts}",
    _S.DONE: "{to} has the status that the order is {what}, answered {status} to {id}{more}",
    _S.PARKED: "status to {to} parked: {why}",
    _S.REJECTED: "status to {to} rejected: {why}",
    _S.SUPERSEDED: "a later status took the place of this one to {to}",
}
SENT_ON: Final = {
    _S.PENDING: "performed step for {to} is due at {due}",
    _S.LEASED: "performed step for {to} is under way, try {attempts}",
    _S.DONE: "{what} made at {to}, answered {status}{more}",
    _S.PARKED: "performed step for {to} parked: {why}",
    _S.REJECTED: "performed step for {to} rejected: {why}",
}
NOTIFIED: Final = {
    _S.PENDING: "availability notification for {to} is due at {due}",
    _S.LEASED: "availability notification for {to} is under way, try {attempts}",
    _S.DONE: "availability notification made at {to}, answered {status}{more}",
    _S.PARKED: "availability notification for {to} parked: {why}",
    _S.REJECTED: "availability notification for {to} rejected: {why}",
    _S.SUPERSEDED: "a later availability notification took the place of this one for {to}",
}
IMAGE_SENT: Final = {
    _S.PENDING: "instance for {to} is due at {due}",
    _S.LEASED: "instance for {to} is under way, try {attempts}",
    _S.DONE: "instance at {to} ({what}: {status}){more}",
    _S.PARKED: "instance for {to} parked: {why}",
    _S.REJECTED: "instance for {to} rejected: {why}",
    _S.SUPERSEDED: "the instance came again with other contents, which took the place of these for {to}",
}
REPORTED: Final = {
    _S.PENDING: "storage commitment report for {to} is due at {due}",
    _S.LEASED: "storage commitment report for {to} is under way, try {attempts}",
    _S.DONE: "storage commitment reported to {to}, answered {status}{more}",
    _S.PARKED: "storage commitment report for {to} parked: {why}",
    _S.REJECTED: "storage commitment report for {to} rejected: {why}",
}
COMMITMENT_ASKED: Final = {
    _S.PENDING: "storage commitment at {to} is looked at again at {due}",
    _S.LEASED: "storage commitment at {to} is under way, try {attempts}",
    _S.DONE: "storage commitment at {to}: {what}{more}",
    _S.PARKED: "storage commitment at {to} parked: {why}",
    _S.REJECTED: "storage commitment at {to} rejected: {why}",
}
FETCHED: Final = {
    _S.PENDING: "the study is read at {to} at {due}",
    _S.LEASED: "the study is being read at {to}, try {attempts}",
    _S.DONE: "the study was read at {to}: {what}{more}",
    _S.PARKED: "the reading of the study at {to} is parked: {why}",
    _S.REJECTED: "the reading of the study at {to} is rejected: {why}",
}
VERIFIED: Final = {
    _S.PENDING: "{to} is asked at {due} what it holds, for what was under way may have come late",
    _S.PARKED: "the look at what {to} holds is parked: {why}",
    _S.REJECTED: "the look at what {to} holds is rejected: {why}",
}
GIVEN_UP: Final = "{kind} given up by {person}: {note}"
FAILED_ONCE: Final = "try {attempts} at {to} failed: {why}; next try at {due}"
SETTLED: Final = {
    _S.PENDING: "waits until {due} for more of the study; settles then if none came",
    _S.PARKED: "parked: {why}",
    _S.REJECTED: "rejected: {why}",
}
"""Other states of a settle row say nothing that the study does not say itself."""
STUCK_ONLY: Final[Mapping[WorkState, str]] = {state: form for state, form in SETTLED.items() if state in STUCK}
"""Of work that is shown by what it leads to, unless it leads nowhere."""
FORMS: Final[Mapping[Activity, tuple[str, Mapping[WorkState, str]]]] = {
    Activity.SETTLE: ("study_settling", SETTLED),
    Activity.DELIVER: ("ehr_delivery", DELIVERED),
    Activity.VERIFY: ("ehr_delivery", VERIFIED),
    Activity.STATUS: ("ris_status", STATUS_SENT),
    Activity.MPPS: ("step_forwarding", SENT_ON),
    Activity.IAN: ("step_forwarding", NOTIFIED),
    Activity.STORE: ("image_forwarding", IMAGE_SENT),
    Activity.COMMIT: ("image_forwarding", COMMITMENT_ASKED),
    Activity.COMMITMENT: ("storage_commitment", REPORTED),
    Activity.FETCH: ("study_arrival", FETCHED),
    Activity.REQUEST: ("order_telling", STUCK_ONLY),
    Activity.PROCEDURE: ("order_telling", STUCK_ONLY),
}
"""Activity -> its station, and what is shown of a row in a state."""
OTHERS: Final[tuple[str, Mapping[WorkState, str]]] = ("study_settling", STUCK_ONLY)


LEVELS: Final[Mapping[WorkState, Level]] = {_S.DONE: "good", _S.PARKED: "bad", _S.REJECTED: "bad"}


def events_of(delivery: JourneyDelivery) -> Iterator[Event]:
    """What is to be shown of a row: each failed try at its own time, and the row at the time at which it ended or falls
    due; nothing where others show it."""
    kind = WorkKind.of(delivery.kind)
    station, forms = FORMS.get(kind.activity, OTHERS)
    shown = partial(Event, station=station, delivery=delivery.id)
    last = delivery.tries[-1] if delivery.tries else None
    for one in delivery.tries[:-1]:
        yield shown(at=one.failed_at, text=_failed(kind, one), level="warn")
    form = forms.get(delivery.state)
    if delivery.state is WorkState.GIVEN_UP:
        form = GIVEN_UP
    is_tried = delivery.state is WorkState.PENDING and bool(delivery.outcome) and forms is not SETTLED
    if last is not None and is_tried:
        yield shown(at=last.failed_at, text=f"{_failed(kind, last)}; next try at {_due(delivery)}", level="warn")
        return
    if last is not None and delivery.state not in STUCK:
        yield shown(at=last.failed_at, text=_failed(kind, last), level="warn")
    if form is not None:
        text = _text(FAILED_ONCE if is_tried else form, kind, delivery)
        level = "warn" if is_tried else LEVELS.get(delivery.state, "")
        yield shown(at=delivery.finished_at or delivery.due_at, text=text, level=level)


def _failed(kind: WorkKind, one: Try) -> str:
    return f"try {one.attempt}{f' at {kind.target}' if kind.target else ''} failed: {why(one.outcome)}"


def _due(delivery: JourneyDelivery) -> str:
    return f"{delivery.due_at[:19]}Z"


def _text(form: str, kind: WorkKind, delivery: JourneyDelivery) -> str:
    outcome = delivery.outcome or {}
    decision = outcome.get("given_up") or {}
    more = f" on try {delivery.attempts}" if delivery.attempts > 1 else ""
    note = f" ({outcome['note']})" if outcome.get("note") else ""
    return form.format(
        to=kind.target, kind=delivery.kind, person=decision.get("person", ""), note=decision.get("note", ""),
        attempts=delivery.attempts, id=outcome.get("id", ""), more=more + note,
        resource=outcome.get("resource", "ImagingStudy"), version=outcome.get("version", ""),
        status=outcome.get("status", ""), what=outcome.get("what", ""), why=why(delivery.outcome), due=_due(delivery),
    )  # fmt: skip


def why(outcome: dict[str, Any] | None) -> str:
    """What went wrong at the last try, on one line."""
    error, place = ((outcome or {}).get(key) or "" for key in ("error", "place"))
    return " ".join(f"{place}: {error}".split()) if place else " ".join(str(error).split())
