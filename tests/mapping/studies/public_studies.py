"""Public DICOM files and objects, as the gateway keeps them.

They are those of pydicom, and of pydicom-data (56 MB) and highdicom where these are installed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_files
from pydicom.uid import ExplicitVRLittleEndian

from gateway.errors import Rejected
from gateway.journey.study_arrival.reading import InstanceReader
from gateway.journey.study_arrival.station import incoming_of
from gateway.records.arrival import InstanceArrival
from gateway.wire.dimse import Caller, StoreRequest
from tests.mapping.samples import SHIPPED
from tests.mapping.studies import highdicom_objects

CALLER = Caller("SCANNER", "GATEWAY", "127.0.0.1")


@cache
def arrivals() -> dict[str, list[InstanceArrival]]:
    """Study Instance UID -> what its files are kept as; one file for each SOP Instance UID."""
    reader = InstanceReader(SHIPPED.studies.keywords)
    found: dict[str, dict[str, InstanceArrival]] = defaultdict(dict)
    for request in requests():
        try:
            arrival = reader.read(incoming_of(request), 1)
        except Rejected:
            continue  # a media directory, or an image without a Study Instance UID
        found[arrival.study_uid][arrival.sop_uid] = arrival
    return {uid: list(members.values()) for uid, members in found.items()}


def requests() -> Iterator[StoreRequest]:
    """A C-STORE of each file and object."""
    yield from _files()
    yield from highdicom_objects.requests(CALLER)


def _files() -> Iterator[StoreRequest]:
    """Each file as a sender reads it: class and instance stand in its data set."""
    for path in sorted(map(Path, get_testdata_files("**/*"))):
        try:
            with path.open("rb") as file:
                pydicom.filereader.read_preamble(file, force=False)
                meta = pydicom.filereader._read_file_meta_info(file)
                data = file.read()
            syntax = str(meta.get("TransferSyntaxUID", ExplicitVRLittleEndian))
            dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])
            sop_class, sop_uid = dataset.get("SOPClassUID"), dataset.get("SOPInstanceUID")
        except (pydicom.errors.InvalidDicomError, OSError, EOFError):
            continue  # no DICOM file
        if sop_class and sop_uid:
            yield StoreRequest(CALLER, str(sop_class), str(sop_uid), syntax, data)
