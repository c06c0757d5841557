"""What a modality names at the end of an examination, beside what arrived."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from gateway.operations.journey_of import journey
from gateway.records.identifiers import AccessionNumber
from gateway.records.named_instances import named_instances
from gateway.wire.dimse import client
from tests.journey.modality import begin, end, modality_of, series
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_performed_step import ordered
from tests.wire.dimse.peers import HOST, PEER, instance

UID = "1.2.826.0.1.3680043.8.498.9"


def reference(uid: str) -> Dataset:
    made = Dataset()
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", uid
    return made


@sqlite
async def test_what_is_named_and_has_not_arrived_is_shown(start: Start) -> None:
    made: Any = series()
    made.ReferencedImageSequence = [reference("1.2.3.4"), reference("1.2.3.5"), reference("1.2.3.4")]
    made.ReferencedNonImageCompositeSOPInstanceSequence = [reference("1.2.3.6")]
    image = instance()
    image.StudyInstanceUID, image.SeriesInstanceUID, image.Modality = "1.2.3.4.5", "1.2.3.4.5.1", "CT"
    image.PatientID = "PAT1"
    async with start() as gateway:
        await ordered(gateway)
        modality = modality_of(gateway)
        assert (await modality.create(begin(), UID)).status == 0
        assert await client.store(HOST, gateway.dicom_port, [image], **PEER) == [("1.2.3.4", 0)]
        assert (await modality.set(end(PerformedSeriesSequence=[made]), UID)).status == 0
        await quiet(gateway)
        shown = await journey(gateway.store, AccessionNumber("ACC1"))
    assert shown is not None
    [step] = shown["performed_steps"]
    assert (step["named"], step["arrived"], step["missing"]) == (3, 1, ["1.2.3.5", "1.2.3.6"])
    [ended] = [one["text"] for one in shown["events"] if "ended it" in one["text"]]
    assert ended == "CT1 ended it: COMPLETED; named by MPPS: 3, arrived: 1, missing: 1.2.3.5, 1.2.3.6"


def test_a_step_that_names_nothing() -> None:
    assert named_instances({}) == []
    assert named_instances({"PerformedSeriesSequence": [{"SeriesInstanceUID": "1.2"}]}) == []
