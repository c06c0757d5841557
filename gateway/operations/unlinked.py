"""Performed steps that wait for an order or a person, with the scheduled steps that they may carry out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection

from gateway.operations.answers.answer import listed
from gateway.operations.answers.performed_steps import SuggestedStep, Suggestion, UnlinkedStep
from gateway.records import performed_suggestions
from gateway.records.order import Attributes
from gateway.records.patient import Identity
from gateway.records.performed_matching import Candidate
from gateway.records.performed_step import SCHEDULED_STEPS, items_of, scheduled_items
from gateway.records.performed_suggestions import Clues, Code, Scheduled
from gateway.records.row_ids import OrderRow
from gateway.records.step import StepState
from gateway.store import scheduled_steps, unlinked_items

MOST: Final = 100
"""Unlinked performed steps that are weighed for one order."""
_OPEN: Final = frozenset({StepState.SCHEDULED, StepState.ARRIVED, StepState.READY, StepState.HELD})


def unlinked(connection: Connection, *, limit: int) -> list[UnlinkedStep]:
    """The performed steps of which an item leads to no scheduled step, the newest first."""
    return [_answer(connection, row) for row in unlinked_items.steps_with(connection, limit=limit)]


def suggested(connection: Connection, orders: Sequence[OrderRow]) -> list[SuggestedStep]:
    """The unlinked performed steps that may carry out a step of these orders, the newest first."""
    if not orders:
        return []
    steps = scheduled_steps.of_orders(connection, orders)
    return [
        SuggestedStep(sop_uid=row["sop_uid"], calling_ae=row["calling_ae"], begun_at=row["begun_at"], suggestion=one)
        for row in unlinked_items.steps_with(connection, limit=MOST)
        for one in _suggestions(_clues(connection, row), steps)
    ]


def _answer(connection: Connection, row: Mapping[str, Any]) -> UnlinkedStep:
    clues = _clues(connection, row)
    steps = scheduled_steps.that_may_be_meant(
        connection,
        patient_id=clues.patient.patient_id,
        study_uids=clues.imaged_studies,
        accession_numbers=clues.imaged_numbers,
    )
    return UnlinkedStep.model_validate(
        {
            **row,
            "modality": clues.modality,
            "patient_id": clues.patient.patient_id,
            "suggestions": _suggestions(clues, steps),
        }
    )


def _suggestions(clues: Clues, steps: Iterable[Mapping[str, Any]]) -> list[Suggestion]:
    by_place = {(row["order_row"], row["study_uid"], row["step_id"]): row for row in steps}
    weighed = performed_suggestions.suggestions(clues, map(_scheduled, by_place.values()))
    return [
        Suggestion(
            order=order,
            accession=one.scheduled.accession_number,
            study_uid=study_uid,
            step_id=step_id,
            state=by_place[(order, study_uid, step_id)]["state"],
            score=one.score,
            reasons=list(one.reasons),
        )
        for one in weighed
        for order, study_uid, _, step_id, *_ in [one.scheduled.candidate]
    ]


def _clues(connection: Connection, row: Mapping[str, Any]) -> Clues:
    stated: Attributes = row["attributes"]
    named = items_of(stated.get(SCHEDULED_STEPS))
    series = items_of(stated.get("PerformedSeriesSequence"))
    imaged = scheduled_steps.imaged(
        connection,
        study_uids=[item.study_uid for item in scheduled_items(stated)],
        series_uids=[str(one.get("SeriesInstanceUID") or "") for one in series],
    )
    own = "ProcedureCodeSequence", "PerformedProtocolCodeSequence"
    chosen = "RequestedProcedureCodeSequence", "ScheduledProtocolCodeSequence"
    return Clues(
        patient=Identity(str(stated.get("PatientID") or ""), str(stated.get("IssuerOfPatientID") or "")),
        modality=str(stated.get("Modality") or ""),
        station_ae=str(stated.get("PerformedStationAETitle") or row["calling_ae"]),
        day=str(stated.get("PerformedProcedureStepStartDate") or _day(row["begun_at"])),
        codes=_codes(stated, *own).union(*(_codes(item, *chosen) for item in named)),
        imaged_studies=frozenset(uid for uid, _ in imaged),
        imaged_numbers=frozenset(number for _, number in imaged) - {""},
    )


def _day(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment / 1_000_000, UTC):%Y%m%d}"


def _scheduled(row: Mapping[str, Any]) -> Scheduled:
    former = tuple(Identity(*one) for one in row["former"])
    patient = Identity(row["patient_id"], row["issuer"])
    names = row["study_uid"], row["requested_procedure_id"], row["step_id"]
    return Scheduled(
        candidate=Candidate(row["order_row"], *names, patient, former),
        accession_number=row["accession"],
        modality=row["modality"],
        station_aes=frozenset(row["station_ae"].split("\\")) - {""},
        day=row["start_date"],
        codes=_codes(row["procedure"], "RequestedProcedureCodeSequence")
        | _codes(row["step"], "ScheduledProtocolCodeSequence"),
        is_open=row["state"] in _OPEN,
    )


def _codes(attributes: Attributes, *sequences: str) -> frozenset[Code]:
    items = (item for sequence in sequences for item in items_of(attributes.get(sequence)))
    codes = ((str(item.get("CodeValue") or ""), str(item.get("CodingSchemeDesignator") or "")) for item in items)
    return frozenset(code for code in codes if code[0])


def lines(steps: Iterable[UnlinkedStep]) -> Iterator[str]:
    """For people: each performed step with its findings and suggestions."""
    for step in steps:
        what = f"{step.state} {step.modality} by {step.calling_ae}, patient {step.patient_id or 'not stated'}"
        yield f"{step.sop_uid}: {what}, begun at {step.begun_at[:19]}Z{listed(step.findings)}"
        for one in step.suggestions:
            yield f"    {suggestion_text(one)}"
        if not step.suggestions:
            yield "    nothing that was ordered is likely to be meant"


def suggestion_text(one: Suggestion) -> str:
    """What may be meant and what speaks for it, on one line."""
    reasons = ", ".join(one.reasons)
    return f"step {one.step_id} of order {one.order} (accession number {one.accession}, {one.state}): {reasons}"
