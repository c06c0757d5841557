"""Work in the outbox: what its table of transitions promises. That the store holds to it is shown in tests/store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Fate
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.work import (
    ACTIVE,
    REQUEST,
    SERVE,
    SETTLE,
    TRANSITIONS,
    Lane,
    Part,
    WorkEvent,
    WorkKind,
    WorkState,
    delivery_to,
)

S, E = WorkState, WorkEvent


def leads_to(state: WorkState) -> set[WorkState]:
    return {after for (before, _), after in TRANSITIONS.items() if before is state}


@pytest.mark.parametrize("state", [S.DONE, S.SUPERSEDED])
def test_what_is_over_stays_over(state: WorkState) -> None:
    assert leads_to(state) == set()


@pytest.mark.parametrize("state", [one for one in S if one not in (S.DONE, S.SUPERSEDED)])
def test_everything_else_can_still_be_done(state: WorkState) -> None:
    reached, new = {state}, {state}
    while new:
        new = {after for one in new for after in leads_to(one)} - reached
        reached |= new
    assert S.DONE in reached


@pytest.mark.parametrize("fate", Fate)
def test_every_fate_has_its_outcome_and_only_a_worker_gives_one(fate: Fate) -> None:
    assert {state for state, event in TRANSITIONS if event == fate.value} == {S.LEASED}


def test_only_a_worker_that_holds_the_work_can_finish_it() -> None:
    assert {pair for pair, after in TRANSITIONS.items() if after is S.DONE} == {(S.LEASED, E.SUCCEED)}


def test_work_under_way_is_neither_superseded_nor_replayed() -> None:
    assert {event for state, event in TRANSITIONS if state is S.LEASED} == {
        E.SUCCEED, E.FAIL_RETRY, E.FAIL_PARK, E.FAIL_REJECT, E.LEASE_ENDS, E.WAIT,
    }  # fmt: skip


def test_a_lane_is_held_by_what_can_go_on_by_itself() -> None:
    assert set(ACTIVE) == {S.PENDING, S.LEASED}
    by_itself = {E.CLAIM, E.SUCCEED, E.FAIL_RETRY, E.LEASE_ENDS}
    assert {state for state, event in TRANSITIONS if event in by_itself} == set(ACTIVE)


NAMES = st.text(st.characters(codec="ascii", categories=("L", "N"), include_characters="-_.:"), min_size=1)
KINDS = st.one_of(st.sampled_from([SETTLE, REQUEST, SERVE]), NAMES.map(delivery_to))


@given(KINDS, st.from_regex(r"[0-2](\.[0-9]{1,9}){1,6}", fullmatch=True), st.sampled_from(Part))
def test_a_lane_is_read_as_it_was_written(kind: WorkKind, study_uid: str, part: Part) -> None:
    lane = Lane(
        kind, StudyInstanceUID(study_uid), part, "1.2.9" if part in (Part.PROCEDURE, Part.PERFORMED_STEP) else ""
    )
    assert Lane.of(str(lane)) == lane
    assert WorkKind.of(str(kind)) == kind


def test_kinds_and_lanes_keep_the_texts_that_databases_hold() -> None:
    assert [str(kind) for kind in (SETTLE, REQUEST, SERVE, delivery_to("main"))] == [
        "settle", "request", "serve", "ehr:main",
    ]  # fmt: skip
    main = delivery_to("main")
    assert str(Lane(main, StudyInstanceUID("1.2"))) == "ehr:main|1.2"
    assert str(Lane(main, StudyInstanceUID("1.2"), Part.ORDER)) == "ehr:main|request|1.2"
    assert str(Lane(main, StudyInstanceUID("1.2"), Part.TASK)) == "ehr:main|task|1.2"
    assert str(Lane(main, StudyInstanceUID("1.2"), Part.PROCEDURE, "1.9")) == "ehr:main|procedure:1.9|1.2"
    assert str(Lane(SETTLE, StudyInstanceUID("1.2"))) == "settle|1.2"


def test_an_activity_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        WorkKind.of("nothing")
