"""Why a scanner does not see an order: which state, key or rule keeps each of its steps off the worklist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from gateway.errors import InvalidValue
from gateway.journey.worklist.station import Question, Rules, items_of, without_station
from gateway.operations.answers.answer import Finding, listed
from gateway.operations.journey_subject import of_number
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.order import Attributes
from gateway.records.step import StepState
from gateway.store import lookup_rows, message_numbers, scanner_queries, worklist
from gateway.wire.dimse import AcceptorPolicy
from gateway.wire.dimse.statuses import OUT_OF_RESOURCES
from gateway.worklist.answering import STEP_SEQUENCE
from gateway.worklist.items import Element, Item, Stored
from gateway.worklist.matching import ISSUER, PATIENT_ID, START_DATE, START_TIME, matcher
from gateway.worklist.names import NameMatching

MOST_MESSAGES: Final = 10
TOGETHER: Final = {START_DATE: START_TIME, START_TIME: START_DATE, PATIENT_ID: ISSUER, ISSUER: PATIENT_ID}
"""Keys that are matched as one: an interval of instants (PS3.4 K.2.2.1.2), an identity."""


@dataclass(frozen=True, slots=True)
class StepWhyNotShown:
    """One step of the order, as the scanner's last query meets it now."""

    accession: AccessionNumber
    study_uid: StudyInstanceUID
    patient_id: str
    patient_name: str
    step_id: str
    state: str
    stations: str
    """Scheduled Station AE Titles; empty: every station's."""
    start: str
    reasons: tuple[str, ...]
    """What keeps it off; empty: it is shown."""
    told_at: int | None
    """When the scanner was last answered with the step, microseconds."""
    modality: str = ""


@dataclass(frozen=True, slots=True)
class WhyNotShown:
    accession: AccessionNumber
    """Of the orders; the number by which they were asked for, where there is none."""
    station: str
    asked_at: int | None
    """When the scanner last asked; None: not among the queries that are kept."""
    answers: int = 0
    """How many steps the answer had."""
    status: int = 0
    keys: Attributes = field(default_factory=dict)
    steps: tuple[StepWhyNotShown, ...] = ()
    remarks: tuple[str, ...] = ()


def why(
    connection: Connection,
    policy: AcceptorPolicy,
    rules: Rules,
    number: str,
    station: str,
    now: int,
) -> WhyNotShown | None:
    """None when nothing was ordered under this number, and no message that was not applied holds it."""
    subject = of_number(connection, number)
    rows = worklist.of_orders(connection, subject.orders)
    missed = _missed(connection, number) if not rows else []
    if not rows and not missed:
        return None
    query = scanner_queries.last(connection, station)
    keys: Attributes = query["keys"] if query else {}
    question = question_of(keys, station, rules, now)
    answered = scanner_queries.answered(connection, station, [row["id"] for row in rows])
    steps = tuple(step_of(row, question, rules, answered.get(row["id"])) for row in rows)
    return WhyNotShown(
        accession=AccessionNumber(rows[0]["accession"] if rows else number),
        station=station,
        asked_at=query["asked_at"] if query else None,
        answers=query["matches"] if query else 0,
        status=query["status"] if query else 0,
        keys=keys,
        steps=steps,
        remarks=(*missed, *remarks_of(policy, question, station, query)),
    )


def question_of(keys: Attributes, station: str, rules: Rules, now: int) -> Question:
    """The query of these keys as the rule of the station completes it."""
    try:
        return Question(Stored(keys), station, rules, now)
    except InvalidValue:
        # Its answer was A900, whatever the steps were like.
        return Question({}, station, rules, now)


def _missed(connection: Connection, number: str) -> list[str]:
    """Of an order that never came to be: the messages that hold its number and were not applied."""
    found = message_numbers.numbered(connection, number, limit=MOST_MESSAGES)
    return [
        f"message {row['id']}, {row['type']} {row['control_id']}, was {row['state']} and answered {row['ack_code']}"
        + listed([Finding.model_validate(one) for one in row["findings"]])
        for row in lookup_rows.message_rows(connection, found)
    ]


def step_of(row: RowMapping, question: Question, rules: Rules, answered_at: int | None) -> StepWhyNotShown:
    """A step (a row of `worklist.ITEMS`) as a query meets it now."""
    return StepWhyNotShown(
        accession=AccessionNumber(row["accession"]),
        study_uid=StudyInstanceUID(row["study_uid"]),
        patient_id=row["patient_id"],
        patient_name=str(row["patient"].get("PatientName") or ""),
        step_id=row["step_id"],
        state=row["state"],
        stations=row["station_ae"],
        start=f"{row['start_date']} {row['start_time']}".strip(),
        reasons=tuple(_reasons(row, question, rules)),
        told_at=answered_at,
        modality=row["modality"],
    )


def remarks_of(policy: AcceptorPolicy, question: Question, station: str, query: RowMapping | None) -> Iterator[str]:
    """What keeps a station from any step: it is not let in, it has not asked, its query failed."""
    if policy.others is None and station not in policy.peers:
        yield f"{station} is not among dicom.allowed_calling_aes: its associations are refused"
    elif station in policy.peers and "worklist" not in policy.peers[station].services:
        yield f"dicom.peers {station}: worklist is not among its services"
    if query is None:
        yield f"{station} has not asked, as far back as queries are kept; states and rules are all that is known"
    elif query["status"] == OUT_OF_RESOURCES:
        yield f"its last query matched more than the limit of {question.max_matches} steps; not all were sent"
    elif query["status"]:
        yield f"its last query ended with status {query['status']:04X}"


def _reasons(row: RowMapping, question: Question, rules: Rules) -> Iterator[str]:
    if not question.visible.shows(row["state"], row["updated_at"]):
        on_hold = row["state"] == StepState.HELD
        yield "the order is on hold" if on_hold else f"{row['state']} steps are not shown (dicom.hidden_states)"
    elif question.visible.is_expired(row["state"], row["start_date"]):
        yield "its day is past, and nobody has begun it (worklist.expire_after_days)"
    items = items_of(dict(row), row["state"], row["station_ae"] or question.station)
    identifier = question.identifier if row["station_ae"] else without_station(question.identifier)
    names = NameMatching(rules.pn_implicit_wildcard)
    for asked in _single(identifier):
        if not any(map(matcher(asked, names), items)):
            yield _difference(asked, items[0], question)


def _single(identifier: Item) -> Iterator[Item]:
    """Each key of a query by itself; those that are matched together, together."""
    for tag, element in identifier.items():
        if element.items:
            inner = list(_single(element.items[0]))
            yield from ({tag: Element(tag, element.vr, element.keyword, items=(one,))} for one in inner)
        elif not element.is_empty:
            partner = identifier.get(TOGETHER.get(tag, 0))
            if partner is None or partner.is_empty:
                yield {tag: element}
            elif tag < partner.tag:
                yield {tag: element, partner.tag: partner}


def _difference(asked: Item, item: Item, question: Question) -> str:
    """The key of a query and what the step has; `asked` is of one root attribute, or of several of one sequence."""
    keys, there = asked, item
    first = next(iter(asked.values()))
    if first.items:
        held = item.get(first.tag)
        keys, there = first.items[0], held.items[0] if held is not None and held.items else {}
    parts = [f"{one.keyword} = {_shown(one)}; it has {_shown(there.get(one.tag))}" for one in keys.values()]
    by_rule = first.tag == STEP_SEQUENCE and keys.keys() <= question.added.keys()
    whose = f"the row {question.rule.pattern} of scanners.yaml asks for " if by_rule else "asked for "
    return whose + ", ".join(parts)


def _shown(element: Element | None) -> str:
    if element is None or element.is_empty:
        return "nothing"
    return "a sequence" if element.items else "\\".join(element.values)


def lines(found: WhyNotShown, moment: Any) -> Iterable[str]:
    """For people; `moment` writes a time."""
    asked = "has not asked" if found.asked_at is None else f"last asked {moment(found.asked_at)}"
    yield f"{found.station} {asked}" + ("" if found.asked_at is None else f" and was answered {found.answers} steps")
    yield from found.remarks
    for step in found.steps:
        yield f"patient {step.patient_id} {step.patient_name}, study {step.study_uid}"
        answered = f", answered {moment(step.told_at)}" if step.told_at is not None else ", never answered"
        where = step.stations or "every station"
        verdict = "would not be shown" if step.reasons else "would be shown"
        of = step.accession or "(no accession number)"
        yield f"{of} step {step.step_id} ({step.state}, {step.start}, {where}){answered}: {verdict}"
        yield from (f"    {reason}" for reason in step.reasons)
