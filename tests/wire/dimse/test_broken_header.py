"""What can be read of a header that is broken before the UIDs of its study, and where nothing is made up."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from gateway.errors import Malformed
from gateway.wire.dimse.broken_header import SEARCHED_BYTES, readable_header
from gateway.wire.dimse.header import read_header

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"


def encoded(syntax: str = EXPLICIT, **more: object) -> bytes:
    dataset = Dataset()
    dataset.SOPInstanceUID, dataset.Modality, dataset.PatientID = "1.2.3.4", "CT", "P1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.StudyID = "1.2.3", "1.2.3.1", "S1"
    for name, value in more.items():
        setattr(dataset, name, value)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = syntax == IMPLICIT, syntax != BIG
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def broken(syntax: str, fault: bytes, **more: object) -> bytes:
    """With `fault` in place of the element of the Patient ID."""
    whole = encoded(syntax, **more)
    at = whole.index(struct.pack((">" if syntax == BIG else "<") + "HH", 0x0010, 0x0020))
    return whole[:at] + fault + whole[at + 10 :]


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize("fault", [b"\x10\x00\x20\x00", b"junk of nobody's", b"\xff" * 30])
def test_a_header_goes_on_with_the_uids_behind_a_fault(syntax: str, fault: bytes) -> None:
    header, goes_on = readable_header(broken(syntax, fault), syntax)
    dataset = read_header(header, syntax)
    assert goes_on
    assert (dataset.SOPInstanceUID, dataset.Modality) == ("1.2.3.4", "CT")
    assert (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.StudyID) == ("1.2.3", "1.2.3.1", "S1")
    assert "PatientID" not in dataset


def test_an_element_whose_length_takes_in_the_uids_is_left_out() -> None:
    whole = encoded()
    at = whole.index(b"\x10\x00\x20\x00LO") + 6
    header, goes_on = readable_header(whole[:at] + struct.pack("<H", 33) + whole[at + 2 :], EXPLICIT)
    dataset = read_header(header, EXPLICIT)
    assert goes_on
    assert (dataset.StudyInstanceUID, dataset.SeriesInstanceUID) == ("1.2.3", "1.2.3.1")
    assert "PatientID" not in dataset


def test_a_fault_behind_the_uids_ends_the_header() -> None:
    """What looks like UIDs of a study behind it are those of an item."""
    other = Dataset()
    other.StudyInstanceUID, other.SeriesInstanceUID = "9.9", "9.9.1"
    whole = encoded(RequestAttributesSequence=Sequence([other]))
    at = whole.index(b"\x20\x00\x10\x00SH")
    header, goes_on = readable_header(whole[:at] + b"\x20\x00" + whole[at:], EXPLICIT)
    assert not goes_on
    assert read_header(header, EXPLICIT).StudyInstanceUID == "1.2.3"


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize("undefined", [True, False])
def test_the_uids_of_an_item_before_those_of_the_study_are_another_study_s(syntax: str, undefined: bool) -> None:
    other, last = Dataset(), Dataset()
    for item, uid in ((other, "9.9"), (last, "9.8")):
        item.StudyInstanceUID, item.SeriesInstanceUID = uid, f"{uid}.1"
        item.is_undefined_length_sequence_item = undefined
    more = {"AnatomicRegionSequence": Sequence([other, last]), "ContributingEquipmentSequence": Sequence([last])}
    whole = encoded(syntax, **more)
    at = whole.index(struct.pack((">" if syntax == BIG else "<") + "HH", 0x0008, 0x0060))
    header, goes_on = readable_header(whole[:at] + b"junk of nobody's" + whole[at:], syntax)
    assert goes_on
    assert read_header(header, syntax).StudyInstanceUID == "1.2.3"


@pytest.mark.parametrize("rest", [b"", b"\x20\x00\x0d\x00UI\x04\x00abcd", bytes(SEARCHED_BYTES + 9) + encoded()])
def test_without_uids_nothing_is_made_up(rest: bytes) -> None:
    start = encoded()
    start = start[: start.index(b"\x10\x00\x20\x00LO")]
    header, goes_on = readable_header(start + b"junk of nobody's" + rest, EXPLICIT)
    assert not goes_on
    assert header == start


def test_a_deflated_data_set_is_whole_or_nothing() -> None:
    with pytest.raises(Malformed):
        readable_header(b"\x00\x01", "1.2.840.10008.1.2.1.99")


@given(st.binary(max_size=40), st.integers(0, 90), st.sampled_from([IMPLICIT, EXPLICIT, BIG]))
def test_whatever_stands_anywhere_in_a_header_what_is_kept_can_be_read(junk: bytes, at: int, syntax: str) -> None:
    whole = encoded(syntax)
    header, _ = readable_header(whole[:at] + junk + whole[at:], syntax)
    read_header(header, syntax, keywords=("StudyInstanceUID", "SeriesInstanceUID"), faults=[])
