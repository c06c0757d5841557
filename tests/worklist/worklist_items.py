"""A worklist item and the identifiers that ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from gateway.worklist import matching
from gateway.worklist.answering import answers_to
from gateway.worklist.items import PADDING, Element, Stored
from gateway.worklist.names import NameMatching

STEP = {
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "ScheduledProcedureStepEndDate",
    "Modality",
    "ScheduledPerformingPhysicianName",
    "ScheduledProcedureStepDescription",
    "ScheduledProcedureStepID",
    "ScheduledProcedureStepStatus",
    "ScheduledProtocolCodeSequence",
    "ScheduledProcedureStepLocation",
    "ScheduledStationName",
    "ScheduledProcedureStepStartDateTime",
}


def of_dataset(dataset: Dataset) -> dict[int, Element]:
    """The elements of a data set, without group lengths and strays of the command set or the file meta group."""
    made: dict[int, Element] = {}
    for element in dataset:
        tag = int(element.tag)
        if tag & 0xFFFF and tag >> 16 > 0x0007:
            vr = str(element.VR)[:2]
            items = tuple(of_dataset(one) for one in element.value or ()) if vr == "SQ" else ()
            made[tag] = Element(tag, vr, element.keyword, () if vr == "SQ" else tuple(_values(element)), items)
    return made


def kept(dataset: Dataset) -> Stored:
    """As an item is kept, by keyword."""
    return Stored(_attributes(dataset))


def _attributes(dataset: Dataset) -> dict[str, Any]:
    return {
        element.keyword: [_attributes(one) for one in element.value] if element.VR == "SQ" else list(_values(element))
        for element in dataset
    }


def _values(element: DataElement) -> Iterator[str]:
    value = element.value
    if isinstance(value, bytes):
        yield value.decode("latin-1").strip(PADDING)
    elif element.VM > 1:
        yield from (str(one).strip(PADDING) for one in value)
    elif value is not None:
        yield str(value).strip(PADDING)


def dataset(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, [dataset(**one) for one in value] if keyword.endswith("Sequence") else value)
    return made


def worklist(**values: Any) -> Dataset:
    """A data set whose step attributes lie in the Scheduled Procedure Step Sequence."""
    step = {keyword: values.pop(keyword) for keyword in list(values) if keyword in STEP}
    return dataset(**values, ScheduledProcedureStepSequence=[step])


def item(**changes: Any) -> Dataset:
    values: dict[str, Any] = {
        "PatientName": "Müller^Jürgen^Karl",
        "PatientID": "PID-7",
        "IssuerOfPatientID": "HOSP",
        "AccessionNumber": "A100",
        "RequestedProcedureID": "RP1",
        "StudyInstanceUID": "1.2.3",
        "AdmissionID": "",
        "ReferringPhysicianName": "House^Greg",
        "MedicalAlerts": ["Pacemaker", "Latex"],
        "PregnancyStatus": 4,
        "PatientWeight": "70.0",
        "RequestedProcedureCodeSequence": [{"CodeValue": "CTHEAD", "CodingSchemeDesignator": "L"}],
        "ScheduledStationAETitle": ["CT1", "CT2"],
        "ScheduledProcedureStepStartDate": "20240706",
        "ScheduledProcedureStepStartTime": "1230",
        "Modality": "CT",
        "ScheduledPerformingPhysicianName": "Bones^Leonard",
        "ScheduledProcedureStepDescription": "Head 100% [native]",
        "ScheduledProcedureStepID": "S1",
        "ScheduledProcedureStepStatus": "SCHEDULED",
    }
    return worklist(**{**values, **changes})


def matches(identifier: Dataset, stored: Dataset, *, pn_implicit_wildcard: bool = False) -> bool:
    return matching.matcher(of_dataset(identifier), NameMatching(pn_implicit_wildcard))(of_dataset(stored))


def answer(identifier: Dataset, stored: Dataset, *, explicit: bool = True) -> Dataset:
    """The response as pydicom reads it."""
    encoded = answers_to(of_dataset(identifier), explicit).encode(kept(stored))
    read = read_dataset(BytesIO(encoded), not explicit, True)
    read.walk(lambda _dataset, _element: None)
    return read
