"""An instance of which a source gives attributes alone is read as the same instance that was stored."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from gateway.dicom_encoding import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from gateway.errors import InvalidValue, RequiredMissing
from gateway.journey.study_arrival.from_elements import encoded_elements, from_elements
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.journey.study_arrival.reading import InstanceReader
from gateway.records.arrival import HeaderRank, InstanceArrival
from gateway.wire.dicomweb import dicom_json
from gateway.wire.dicomweb.dataset import Attribute
from gateway.wire.dimse.header import split_header
from gateway.wire.dimse.identifier import decode
from tests.journey.test_study_arrival import sample
from tests.mapping.samples import SHIPPED

ARCHIVE = Sender("PACS")
READER = InstanceReader(SHIPPED.studies.keywords)
METADATA = HeaderRank.METADATA


def encoded(dataset: Dataset, syntax: str) -> bytes:
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, syntax == IMPLICIT_LITTLE
    write_dataset(file, dataset)
    assert isinstance(file.parent, BytesIO)
    return file.parent.getvalue()


def read(incoming: Incoming) -> InstanceArrival:
    arrival = READER.read(incoming, 1)
    return replace(arrival, header=b"", digest=b"", transfer_syntax_uid="", rank=METADATA, source_ae="")


@pytest.fixture
def image() -> Dataset:
    """With a name in UTF-8, which its own data set has in ISO 8859-1."""
    dataset = sample()
    dataset.PatientName = "Müller^Jörg"
    return dataset


def test_metadata_read_as_the_data_set_itself(image: Dataset) -> None:
    stored = read(Incoming(ARCHIVE, IMPLICIT_LITTLE, encoded(image, IMPLICIT_LITTLE)))
    metadata = image.to_json(bulk_data_threshold=64, bulk_data_element_handler=lambda _element: "bulk").encode()
    assert read(from_elements(dicom_json.read(metadata), ARCHIVE, METADATA)) == stored
    assert stored.study["PatientName"] == "Müller^Jörg"


def test_keys_of_a_query_read_as_the_data_set_itself(image: Dataset) -> None:
    data = encoded(image, EXPLICIT_LITTLE)
    keys = decode(split_header(data, EXPLICIT_LITTLE), EXPLICIT_LITTLE)
    assert read(from_elements(keys, ARCHIVE, METADATA)) == read(Incoming(ARCHIVE, EXPLICIT_LITTLE, data))


def test_what_cannot_be_encoded_is_left_out() -> None:
    elements = {
        0x00280010: Attribute(0x00280010, "US", ("many",)),
        0x00200013: Attribute(0x00200013, "IS", ("7",)),
        0x00080005: Attribute(0x00080005, "CS", ("ISO_IR 100",)),
        0x00281052: Attribute(0x00281052, "US", ("70000",)),
        0x00080050: Attribute(0x00080050, "SH", ("x" * 70_000,)),
        0x7FE00010: Attribute(0x7FE00010, "OW"),
        0x00081140: Attribute(0x00081140, "SQ", items=({0x00280011: Attribute(0x00280011, "US", ("x",))},)),
    }
    keys = decode(encoded_elements(elements), EXPLICIT_LITTLE)
    assert {tag: (key.values, key.items) for tag, key in keys.items()} == {
        0x00080005: (("ISO_IR 192",), ()),
        0x00200013: (("7",), ()),
        0x00081140: ((), ({},)),
    }


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_an_instance_that_nobody_announced_has_its_own_uids(image: Dataset, keyword: str) -> None:
    delattr(image, keyword)
    with pytest.raises(RequiredMissing, match=keyword):
        read(Incoming(ARCHIVE, IMPLICIT_LITTLE, encoded(image, IMPLICIT_LITTLE)))


def test_an_announced_instance_is_no_other(image: Dataset) -> None:
    data = encoded(image, IMPLICIT_LITTLE)
    with pytest.raises(InvalidValue, match="SOPInstanceUID is not the one of the request"):
        read(Incoming(ARCHIVE, IMPLICIT_LITTLE, data, sop_instance_uid="1.2.3"))
