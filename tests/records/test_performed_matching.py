"""Which scheduled step an item of an N-CREATE is about."""

from __future__ import annotations

import pytest

from gateway.records.patient import Identity
from gateway.records.performed_matching import Candidate, MatchedBy, is_same_patient, matched
from gateway.records.performed_step import ScheduledItem
from gateway.records.row_ids import OrderRow

P, Q = Identity("P", "HOSP"), Identity("Q", "HOSP")


def step(step_id: str, order: int = 1, study: str = "1.2", procedure: str = "RP1", who: Identity = P) -> Candidate:
    return Candidate(OrderRow(order), study, procedure, step_id, who)


ONE, TWO, THIRD = step("S1"), step("S2"), step("S3", procedure="RP2", study="1.3")
OTHER = step("S1", order=2, study="1.9", who=Q)


@pytest.mark.parametrize(
    ("item", "study", "accession", "expected"),
    [
        # Study UID + SPS ID
        (("1.2", "S2", "", ""), [ONE, TWO], [], (TWO, MatchedBy.STEP)),
        (("1.2", "S2", "A", "RP9"), [ONE, TWO], [OTHER], (TWO, MatchedBy.STEP)),
        # no SPS ID, or another: the study's only step
        (("1.2", "", "", ""), [ONE], [], (ONE, MatchedBy.STUDY)),
        (("1.2", "S9", "", ""), [ONE], [], (ONE, MatchedBy.STUDY)),
        (("1.2", "", "", ""), [ONE, TWO], [], None),
        (("1.2", "S9", "", ""), [ONE, TWO], [], None),
        # Study UID of the modality's own: accession number, then Requested Procedure ID, then step ID
        (("9", "", "A", ""), [], [ONE], (ONE, MatchedBy.ACCESSION)),
        (("9", "", "A", "RP2"), [], [ONE, TWO, THIRD], (THIRD, MatchedBy.ACCESSION)),
        (("9", "S2", "A", "RP1"), [], [ONE, TWO, THIRD], (TWO, MatchedBy.ACCESSION)),
        (("9", "S2", "A", ""), [], [ONE, TWO, THIRD], (TWO, MatchedBy.ACCESSION)),
        (("9", "", "A", "RP1"), [], [ONE, TWO, THIRD], None),
        (("9", "", "A", "RP9"), [], [ONE], None),
        # an accession number of two sites leads to the patient's own order, never to another's
        (("9", "", "A", ""), [], [ONE, OTHER], (ONE, MatchedBy.ACCESSION)),
        (("9", "S1", "A", "RP1"), [], [OTHER], None),
        # nothing
        (("9", "S1", "", "RP1"), [], [], None),
        (("9", "S1", "A", "RP1"), [], [], None),
    ],
)
def test_the_scheduled_step_of_an_item(
    item: tuple[str, str, str, str],
    study: list[Candidate],
    accession: list[Candidate],
    expected: tuple[Candidate, MatchedBy] | None,
) -> None:
    found = matched(ScheduledItem(*item), P, of_study=lambda _: study, of_accession_number=lambda _: accession)
    assert (found.candidate, found.match) == (expected or (None, None))
    assert bool(found.why) == (expected is None or expected[1] is MatchedBy.ACCESSION or item[1] == "S9")


def test_an_accession_number_leads_to_the_order_of_a_patient_who_was_merged() -> None:
    merged = step("S1", who=Q)._replace(former=(P,))
    item = ScheduledItem("9", "", "A", "")
    for stated, expected in ((P, merged), (Identity("R", "HOSP"), None)):
        found = matched(item, stated, of_study=lambda _: [], of_accession_number=lambda _: [merged])
        assert found.candidate == expected


@pytest.mark.parametrize(
    ("stated", "held", "same"),
    [
        (P, P, True),
        (Identity("P", ""), P, True),
        (P, Identity("P", ""), True),
        (Identity("P", "CLINIC"), P, False),
        (Q, P, False),
        (Identity("", ""), Identity("", ""), False),
    ],
)
def test_who_may_be_the_same_patient(stated: Identity, held: Identity, same: bool) -> None:
    assert is_same_patient(stated, held) is same
