"""Decoded elements give the attributes that `from_dataset` gives, whatever is sent."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import pydicom.data
import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.mapping.attributes import from_dataset
from gateway.mapping.elements import of_elements, of_levels, surplus
from gateway.mapping.frames import GATHERED, read_for
from gateway.records.finding import Finding
from gateway.records.order import Attributes
from gateway.wire.dimse.header import read_elements, read_header, split_header
from gateway.wire.dimse.identifier import decode_readable
from tests.journey.modality import begin, end, going_on, series
from tests.mapping import maximal
from tests.mapping.maximal import item
from tests.mapping.samples import SHIPPED
from tests.mapping.test_frames import LEFT, RIGHT, group, multi_frame

SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)


def encoded(dataset: Dataset, syntax: str) -> bytes:
    made = DicomBytesIO()
    made.is_implicit_VR, made.is_little_endian = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    write_dataset(made, dataset)
    return bytes(made.getvalue())


def both(dataset: Dataset, syntax: str) -> tuple[Attributes, Attributes]:
    data = encoded(dataset, syntax)
    read = read_header(split_header(data, syntax, max_element_bytes=None), syntax)
    return of_elements(decode_readable(data, syntax)[0]), from_dataset(read, with_empty=True)


def odd() -> Dataset:
    dataset = begin(series("1.2.3.9"))
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    dataset.PatientComments = " two lines\r\n of text "
    dataset.PatientBirthDate = ""
    dataset.PatientWeight = "70.50"
    dataset.PerformedStationAETitle = "CT1 "
    dataset.OtherPatientNames = ["A^B", "", "C^D"]
    dataset.add_new(0x00091001, "LO", "of a vendor")
    dataset.add_new(0x00281050, "DS", ["40", "400"])
    dataset.add_new(0x00189087, "FD", 0.1)
    dataset.add_new(0x00186018, "UL", 7)
    dataset.add_new(0x00404020, "CS", "")
    return dataset


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("make", [begin, end, going_on, odd])
def test_requests_of_modalities(make: object, syntax: str) -> None:
    dataset = make() if callable(make) else Dataset()
    ours, theirs = both(dataset, syntax)
    assert ours == theirs


def _readable() -> list[Path]:
    folder = Path(pydicom.data.__file__).parent / "test_files"
    whole = (path for path in sorted(folder.glob("*.dcm")) if path.stem != "rtplan_truncated")
    return [path for path in whole if path.stat().st_size < 100_000]


def test_headers_of_pydicoms_files() -> None:
    """Each in one of the syntaxes, by turns."""
    compared = 0
    for path, syntax in zip(_readable(), cycle(SYNTAXES), strict=False):
        try:
            dataset = dcmread(path, stop_before_pixels=True)
            # Of these the encoding does not tell the VR: it depends on Pixel Representation.
            for keyword in ("OverlayData", "PixelPaddingValue"):
                dataset.pop(keyword, None)
            encoded(dataset, syntax)
        except (InvalidDicomError, ValueError, AttributeError, NotImplementedError, TypeError, KeyError):
            continue
        ours, theirs = both(dataset, syntax)
        assert ours == theirs, path
        compared += 1
    assert compared > 30


KEYWORDS = frozenset().union(*SHIPPED.studies.keywords.values(), GATHERED)
READ = {tag for keyword in read_for(KEYWORDS) if (tag := tag_for_keyword(keyword)) is not None}


def of_mapping(dataset: Dataset, syntax: str) -> tuple[Attributes, Attributes]:
    """What the study mapping reads, in both ways."""
    header = split_header(encoded(dataset, syntax), syntax)
    elements = read_elements(header, syntax, READ, [])
    return of_levels(elements, {"all": sorted(KEYWORDS)})["all"], from_dataset(read_header(header, syntax), KEYWORDS)


def test_what_the_study_mapping_reads_of_pydicoms_files() -> None:
    """Each in one of the syntaxes, by turns."""
    compared = 0
    for path, syntax in zip(_readable(), cycle(SYNTAXES), strict=False):
        try:
            dataset = dcmread(path, stop_before_pixels=True)
            encoded(dataset, syntax)
        except (InvalidDicomError, ValueError, AttributeError, NotImplementedError, TypeError, KeyError):
            continue
        ours, theirs = of_mapping(dataset, syntax)
        assert ours == theirs, path
        compared += 1
    assert compared > 30


def test_what_the_study_mapping_reads_of_a_maximal_image_and_of_frames() -> None:
    right, left = group("R", RIGHT), group("L", LEFT)
    for dataset in (maximal.dataset(), multi_frame(right, item()), multi_frame(item(), right, left)):
        ours, theirs = of_mapping(dataset, ExplicitVRLittleEndian)
        assert ours == theirs


def test_what_an_attribute_of_one_value_has_more_is_noted() -> None:
    dataset = begin()
    dataset.StudyDescription, dataset.SeriesDescription = ["a", "b", ""], ["a", ""]
    elements, _ = decode_readable(encoded(dataset, ExplicitVRLittleEndian), ExplicitVRLittleEndian)
    assert surplus(elements) == [Finding("StudyDescription", "has 2 values; the first is taken")]


def test_a_number_that_cannot_be_read_has_no_value() -> None:
    dataset = begin()
    data = encoded(dataset, ExplicitVRLittleEndian) + b"\x28\x00\x08\x00IS\x04\x00many"
    elements, faults = decode_readable(data, ExplicitVRLittleEndian)
    assert of_elements(elements)["NumberOfFrames"] == ""
    assert of_elements(elements)["PatientID"] == "PAT1"
    assert [str(one.place) for one in faults] == ["(0028,0008)"]
