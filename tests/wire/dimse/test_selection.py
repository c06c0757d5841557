"""Single elements of a header, without decoding the frames of a multi-frame object."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from gateway.errors import Malformed
from gateway.wire.dimse.header import read_header, split_header

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
GROUPS = ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"]


def frame(number: int, side: str) -> Dataset:
    content, region, anatomy, groups = Dataset(), Dataset(), Dataset(), Dataset()
    content.InStackPositionNumber = number
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "69536005", "SCT", "Head"
    anatomy.AnatomicRegionSequence, anatomy.FrameLaterality = [region], side
    groups.FrameContentSequence, groups.FrameAnatomySequence = [content], [anatomy]
    return groups


def multi_frame(sides: str) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 192", "Müller^Änne"
    dataset.StudyInstanceUID, dataset.NumberOfFrames = "1.2.3", len(sides)
    dataset.SharedFunctionalGroupsSequence = [Dataset()]
    dataset.PerFrameFunctionalGroupsSequence = [frame(number, side) for number, side in enumerate(sides, 1)]
    dataset.PixelData = b"\0\0"
    dataset["PixelData"].VR = "OW"
    return dataset


def undefined_lengths(dataset: Dataset) -> None:
    for element in dataset:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                undefined_lengths(item)


def encoded(dataset: Dataset, syntax: str = EXPLICIT) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = syntax == IMPLICIT, syntax != BIG
    write_dataset(buffer, dataset)
    return buffer.getvalue()


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_what_frames_show_is_read_once_for_all_that_show_the_same(syntax: str, undefined: bool) -> None:
    dataset = multi_frame("R" * 40 + "L" + "R" * 40)
    if undefined:
        undefined_lengths(dataset)
    header = split_header(encoded(dataset, syntax), syntax)
    read = read_header(header, syntax, keywords=[*GROUPS, "PatientName"])
    assert read.PatientName == "Müller^Änne"
    assert "StudyInstanceUID" not in read
    frames = read.PerFrameFunctionalGroupsSequence
    assert [one.FrameAnatomySequence[0].FrameLaterality for one in frames] == ["R", "L"]
    assert all(list(one.keys()) == [0x00209071] for one in frames)
    assert frames[0].FrameAnatomySequence[0].AnatomicRegionSequence[0].CodeMeaning == "Head"


def test_a_sequence_of_unknown_vr_is_read_too() -> None:
    """PS3.5 6.2.2 note 2: a sender that does not know the attribute writes UN, in implicit VR little endian."""
    groups = encoded(multi_frame("RL"), IMPLICIT)
    at, end = groups.index(b"\x00\x52\x30\x92"), groups.index(b"\xe0\x7f\x10\x00")
    value = groups[at + 8 : end]
    unknown = b"\x00\x52\x30\x92UN\0\0" + len(value).to_bytes(4, "little") + value
    read = read_header(unknown, EXPLICIT, keywords=GROUPS)
    sides = [one.FrameAnatomySequence[0].FrameLaterality for one in read.PerFrameFunctionalGroupsSequence]
    assert sides == ["R", "L"]


def test_bytes_that_only_look_like_the_sequence_are_none() -> None:
    dataset = multi_frame("R")
    content = dataset.PerFrameFunctionalGroupsSequence[0].FrameContentSequence[0]
    content.private_block(0x0009, "MAKER", create=True).add_new(1, "OB", b"\x20\x00\x71\x90SQ\0\0\xff\xff\xff\x7f")
    read = read_header(split_header(encoded(dataset), EXPLICIT), EXPLICIT, keywords=GROUPS)
    assert len(read.PerFrameFunctionalGroupsSequence) == 1


def test_a_broken_attribute_is_left_out_and_named_where_that_is_asked_for() -> None:
    dataset = Dataset()
    dataset.StudyInstanceUID = "1.2.3"
    dataset.ProcedureCodeSequence = [Dataset()]
    dataset.ProcedureCodeSequence[0].CodeValue = "X"
    whole = encoded(dataset)
    at = whole.index(b"\x08\x00\x00\x01SH")
    broken = whole[: at + 6] + b"\x40\x00" + whole[at + 8 :]
    wanted = ["StudyInstanceUID", "ProcedureCodeSequence"]
    with pytest.raises(Malformed):
        read_header(broken, EXPLICIT, keywords=wanted)
    faults: list[Malformed] = []
    read = read_header(broken, EXPLICIT, keywords=wanted, faults=faults)
    assert (read.StudyInstanceUID, "ProcedureCodeSequence" in read) == ("1.2.3", False)
    assert [str(fault.place) for fault in faults] == ["(0008,0100)"]
    assert read_header(broken, EXPLICIT, keywords=["StudyInstanceUID"]).StudyInstanceUID == "1.2.3"
