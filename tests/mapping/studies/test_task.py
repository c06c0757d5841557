"""How an order is carried out as a Task, before the validators of others."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations_with_replacement

import pytest

from gateway.mapping.studies.service_request import service_request
from gateway.mapping.studies.task import ENDED, GOING_ON, status_of, task
from gateway.records.imaging_order import Order, Performed
from gateway.records.step import StepEvent, StepState
from gateway.records.study import Release
from gateway.wire.fhir.validation import STATUSES, faults_of
from tests.mapping.studies.test_service_request import ORDER, PATIENT, RELEASES, SETTINGS
from tests.peers.fhir_validators import Validators

S, E = StepState, StepEvent
NINE, TEN = 1_768_550_400_000_000, 1_768_554_000_000_000
"""2026-01-16 08:00 and 09:00 UTC."""
BEGUN = Performed(NINE, E.PPS_START, "1.9", "1.2.3", "S1")
COMPLETED = replace(BEGUN, event_at=TEN, event=E.PPS_COMPLETE)


def with_state(state: StepState) -> Order:
    return replace(
        ORDER,
        procedures=tuple(
            replace(one, steps=tuple(replace(step, state=state) for step in one.steps)) for one in ORDER.procedures
        ),
    )


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("state", "performed", "status", "period"),
    [
        (S.SCHEDULED, [], "requested", None),
        (S.STARTED, [BEGUN], "in-progress", {"start": "2026-01-16T09:00:00+01:00"}),
        (
            S.COMPLETED,
            [BEGUN, COMPLETED],
            "completed",
            {"start": "2026-01-16T09:00:00+01:00", "end": "2026-01-16T10:00:00+01:00"},
        ),
        (S.SCHEDULED, [BEGUN, replace(COMPLETED, event=E.PPS_WRONG_ENTRY)], "requested", None),
        (S.CANCELED, [], "cancelled", None),
    ],
)
def test_a_task_follows_the_steps(
    release: Release, state: StepState, performed: list[Performed], status: str, period: object,
    fhir_validators: Validators,
) -> None:  # fmt: skip
    made, identifier = task(with_state(state), PATIENT, performed, SETTINGS)
    assert faults_of(made, release) == []
    assert {name: one for name, one in fhir_validators.findings(release, made).items() if one} == {}
    assert (made["status"], made["intent"], made.get("executionPeriod")) == (status, "order", period)
    request, known_by = service_request(ORDER, PATIENT, SETTINGS, release)
    focus = made["focus"]["identifier"]
    assert f"{focus['system']}|{focus['value']}" == known_by
    assert made["basedOn"] == [made["focus"]]
    assert made["for"] == request["subject"]
    assert (made["encounter"], made["authoredOn"]) == (request["encounter"], request["authoredOn"])
    assert identifier != known_by
    assert identifier.endswith("|A1")


def test_every_mix_of_states_has_a_status_of_fhir() -> None:
    assert {state for state, _ in (*GOING_ON, *ENDED)} == set(S)
    for states in (one for size in (1, 2, 3) for one in combinations_with_replacement(S, size)):
        assert status_of(states) in STATUSES["Task"], states


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ((S.COMPLETED, S.SCHEDULED), "in-progress"),
        ((S.COMPLETED, S.CANCELED), "completed"),
        ((S.DISCONTINUED,), "cancelled"),
        ((S.DISCONTINUED, S.SCHEDULED), "requested"),
        ((S.HELD, S.CANCELED), "on-hold"),
        ((S.ARRIVED, S.SCHEDULED), "ready"),
        ((), "cancelled"),
    ],
)
def test_the_status_of_several_steps(states: tuple[StepState, ...], status: str) -> None:
    assert status_of(states) == status
