"""What the modality simulator reports of its examinations is as the standard says."""

from __future__ import annotations

from gateway.mapping.attributes import from_dataset
from gateway.records.performed_step import PerformedState, begun, scheduled_items, updated
from gateway.simulators import performed_steps, studies
from gateway.simulators.ris import orders
from tests.simulators.test_modality import item_of

[ORDER] = orders(3, 1)


def test_an_examination_breaks_no_rule() -> None:
    item = item_of(ORDER)
    study = studies.perform(item, series=2, instances=3)
    step = begun(from_dataset(performed_steps.begun(item, "CT1"), with_empty=True), strict=True)
    after = updated(step, from_dataset(performed_steps.ended(study), with_empty=True), strict=True)
    assert (after.state, after.findings) == (PerformedState.COMPLETED, ())
    series = after.attributes["PerformedSeriesSequence"]
    assert [len(one["ReferencedImageSequence"]) for one in series] == [3, 3]
    [chosen] = scheduled_items(after.attributes)
    assert (chosen.study_uid, chosen.step_id, chosen.accession_number) == (
        ORDER.study_uid,
        ORDER.step_id,
        ORDER.accession_number,
    )
