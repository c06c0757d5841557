"""Requests and answers of STOW-RS for tests."""

from __future__ import annotations

from io import BytesIO
from typing import Any, NamedTuple
from xml.etree import ElementTree

import orjson
import pydicom
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from gateway.wire.dicomweb import dicom_json, native_xml
from gateway.wire.dicomweb.dataset import Dataset as Read
from tests.web.dicomweb.client import XML, Answer

DICOM = "application/dicom"
BOUNDARY = "gateway-test"
MULTIPART = f'multipart/related; type="{DICOM}"; boundary={BOUNDARY}'
STUDY = "2.25.91"


def instance(sop_uid: str, study_uid: str = STUDY, **attributes: Any) -> pydicom.FileDataset:
    """A CT image of pydicom under these UIDs."""
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(sop_uid)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = UID(study_uid), UID(f"{study_uid}.1")
    dataset.update(Dataset())
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def file_of(dataset: pydicom.FileDataset) -> bytes:
    """In the DICOM File Format."""
    written = BytesIO()
    dataset.save_as(written)
    return written.getvalue()


def part(content: bytes, content_type: str = DICOM, newline: bytes = b"\r\n", **headers: str) -> bytes:
    """A part with the delimiter before it; a header of `content_location` is Content-Location."""
    named = {"Content-Type": content_type} if content_type else {}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"--{BOUNDARY}", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    return newline.join(line.encode() for line in lines) + content + newline


END = f"--{BOUNDARY}--\r\n".encode()


def body(*files: bytes) -> bytes:
    """Each file as a part of its own."""
    return b"".join(map(part, files)) + END


class Stored(NamedTuple):
    """What an answer to a Store says."""

    status: int
    stored: list[str]
    """SOP Instance UIDs."""
    failed: dict[str, int]
    """SOP Instance UID -> Failure Reason."""
    others: list[int]
    """Failure Reasons of parts that name no instance."""


def stored(answer: Answer) -> Stored:
    """Of JSON or XML, whichever it is."""
    if answer.headers["Content-Type"].startswith("text/"):
        return Stored(answer.status, [], {}, [])
    if answer.headers["Content-Type"].startswith(XML):
        assert ElementTree.fromstring(answer.body) is not None
        module = native_xml.read(answer.body)
    else:
        assert isinstance(orjson.loads(answer.body), dict)
        module = dicom_json.read(answer.body)

    def items(tag: int) -> Any:
        return module[tag].items if tag in module else ()

    def uid(item: Read) -> str:
        return item[0x00081155].values[0]

    def reason(item: Read) -> int:
        return int(item[0x00081197].values[0])

    failed = {uid(one): reason(one) for one in items(0x00081198)}
    return Stored(
        answer.status, [uid(one) for one in items(0x00081199)], failed, [reason(one) for one in items(0x0008119A)]
    )
