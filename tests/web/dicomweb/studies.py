"""Three studies of three days and patients, and what a search finds of them."""

from __future__ import annotations

import copy
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from tests.journey.test_image_forwarding import CT
from tests.web.dicomweb.client import Client

ROOT = "1.2.826.0.1.3680043.8.498.40"
XML_PARTS = 'multipart/related; type="application/dicom+xml"'
FILES = 'multipart/related; type="application/dicom"'


def image(study: int, series: int = 1, number: int = 1, **values: Any) -> Dataset:
    """A CT or, by `Modality`, another image of one of three studies of three days and patients."""
    made = copy.deepcopy(CT)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.StudyInstanceUID = f"{ROOT}.{study}"
    made.SeriesInstanceUID = f"{ROOT}.{study}.{series}"
    made.SOPInstanceUID = f"{ROOT}.{study}.{series}.{number}"
    made.SeriesNumber, made.InstanceNumber = series, number
    made.StudyDate, made.StudyTime = f"2026030{study}", f"0{study}0000"
    made.PatientName, made.PatientID, made.AccessionNumber = f"MUSTER^ERIKA{study}", f"P{study}", f"A{study}"
    made.StudyDescription = "Sch\N{LATIN SMALL LETTER A WITH DIAERESIS}del"
    made.SpecificCharacterSet = "ISO_IR 100"
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


async def found(client: Client, path: str) -> list[str]:
    """The last numbers of the UIDs of the results, sorted."""
    answer = await client.ask("GET", path)
    assert answer.status in (200, 204), answer.text
    tag = {"studies": "0020000D", "series": "0020000E"}.get(path.partition("?")[0].rpartition("/")[2], "00080018")
    results = answer.json if answer.status == 200 else []
    return sorted(one[tag]["Value"][0].removeprefix(f"{ROOT}.") for one in results)
