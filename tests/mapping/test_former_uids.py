"""What a data set states of its former UIDs, and what is no such statement."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataelem import DataElement
from pydicom.uid import ExplicitVRLittleEndian

from gateway.mapping.former_uids import ORIGINAL, former_uids
from gateway.records.moved_instance import MOST_FORMER, Former
from gateway.wire.dimse.header import read_elements


def modified(**previous: str) -> Dataset:
    """An item of Original Attributes Sequence."""
    values, item = Dataset(), Dataset()
    for keyword, value in previous.items():
        setattr(values, keyword, value)
    item.ModifiedAttributesSequence = [values]
    item.ReasonForTheAttributeModification = "COERCE"
    return item


def private() -> Dataset:
    """An item whose Study Instance UID is a sequence."""
    item = modified()
    item.ModifiedAttributesSequence[0].add(DataElement(0x0020000D, "SQ", [Dataset()]))
    return item


CASES = {
    "nothing": ([], []),
    "other attributes": ([modified(PatientID="1", AccessionNumber="2")], []),
    "an item of nothing": ([Dataset()], []),
    "an empty value": ([modified(StudyInstanceUID="")], []),
    "another VR": ([private()], []),
    "all": (
        [modified(StudyInstanceUID="2.25.1", SeriesInstanceUID="2.25.2", SOPInstanceUID="2.25.3", PatientID="1")],
        [Former("2.25.1", "2.25.2", "2.25.3")],
    ),
    "several": (
        [modified(StudyInstanceUID="2.25.1"), modified(PatientID="1"), modified(SOPInstanceUID="2.25.3")],
        [Former("2.25.1", "", ""), Former("", "", "2.25.3")],
    ),
    "the same twice": ([modified(StudyInstanceUID="2.25.1")] * 2, [Former("2.25.1", "", "")]),
    "very many": (
        [modified(StudyInstanceUID=f"2.25.{number}") for number in range(2 * MOST_FORMER)],
        [Former(f"2.25.{number}", "", "") for number in range(MOST_FORMER)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_data_set_states_of_its_former_uids(name: str) -> None:
    stated, former = CASES[name]
    dataset, target = Dataset(), BytesIO()
    dataset.OriginalAttributesSequence = stated
    dcmwrite(target, dataset, implicit_vr=False, little_endian=True)
    elements = read_elements(target.getvalue(), ExplicitVRLittleEndian, frozenset({ORIGINAL}), faults=[])
    assert former_uids(elements) == tuple(former)


def test_a_data_set_without_the_sequence_states_none() -> None:
    assert former_uids({}) == ()
