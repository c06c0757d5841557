"""The scheduled steps of a new performed step, compared with what the modality states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import Connection

from gateway.records.finding import Finding
from gateway.records.imaging_order import Order
from gateway.records.order import Attributes
from gateway.records.patient import Identity
from gateway.records.performed_matching import Candidate, MatchedBy, is_of_patient, matched
from gateway.records.performed_step import SCHEDULED_STEPS, ScheduledItem
from gateway.records.row_ids import OrderRow
from gateway.records.step import StepState
from gateway.store import order_book as book
from gateway.store import step_candidates
from gateway.value_class import value_class

ALARMING: Final = {
    StepState.CANCELED: "was cancelled, and is performed all the same",
    StepState.HELD: "is on hold, and is performed all the same",
}
"""States of a scheduled step that a person should hear of when an examination begins."""


class Link(NamedTuple):
    """A scheduled step that is performed."""

    candidate: Candidate
    match: MatchedBy


@value_class
class Linking:
    """Links of a performed step, the orders that they lead to, and what a person should know of them."""

    links: tuple[Link, ...]
    unlinked: tuple[ScheduledItem, ...]
    """Items that lead to no scheduled step."""
    orders: Sequence[Order]
    """In ascending order of their rows, held until the transaction ends."""
    findings: tuple[Finding, ...]


def link(connection: Connection, attributes: Attributes, items: Iterable[ScheduledItem]) -> Linking:
    """The scheduled steps that items of an N-CREATE name: each item's own (group case), or none."""
    findings: dict[Finding, None] = {}
    links: dict[Candidate, MatchedBy] = {}
    unlinked = []
    for item in items:
        outcome = matched(
            item,
            _patient_of(attributes),
            of_study=partial(step_candidates.of_study, connection),
            of_accession_number=partial(step_candidates.of_accession_number, connection),
        )
        if outcome.why:
            findings[Finding(SCHEDULED_STEPS, outcome.why)] = None
        if outcome.candidate is not None and outcome.match is not None:
            links.setdefault(outcome.candidate, outcome.match)
        else:
            unlinked.append(item)
    return linking_of(connection, attributes, links, unlinked, findings)


def linking_of(
    connection: Connection,
    attributes: Attributes,
    links: Mapping[Candidate, MatchedBy],
    unlinked: Iterable[ScheduledItem],
    findings: Iterable[Finding] = (),
) -> Linking:
    """These links, with their orders and all that a person should know. `findings`: of the matching."""
    # In one order, so that two transactions do not wait for one another.
    orders = [book.get(connection, row) for row in sorted({candidate.order for candidate in links})]
    every = dict.fromkeys((*findings, *_alarms(orders, links), *_of_patients(_patient_of(attributes), links)))
    return Linking(tuple(Link(*one) for one in links.items()), tuple(unlinked), orders, tuple(every))


def _patient_of(attributes: Attributes) -> Identity:
    return Identity(str(attributes.get("PatientID") or ""), str(attributes.get("IssuerOfPatientID") or ""))


def _alarms(orders: Iterable[Order], links: Iterable[Candidate]) -> Iterator[Finding]:
    states: dict[tuple[OrderRow | None, str, str], StepState] = {
        (order.row, procedure.study_uid, step.step_id): step.state
        for order in orders
        for procedure in order.procedures
        for step in procedure.steps
    }
    for one in links:
        alarm = ALARMING.get(states.get((one.order, one.study_uid, one.step_id), StepState.SCHEDULED))
        if alarm is not None:
            yield Finding(SCHEDULED_STEPS, f"step {one.step_id} {alarm}")


def _of_patients(stated: Identity, links: Iterable[Candidate]) -> Iterator[Finding]:
    """A finding where the modality states another patient than the order's, whose old numbers are theirs too."""
    if stated.patient_id and not all(is_of_patient(stated, one) for one in links):
        yield Finding("PatientID", "is not that of the order's patient; nothing of the patient is overwritten")
