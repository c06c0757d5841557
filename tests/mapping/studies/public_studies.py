"""The public DICOM files that pydicom brings, as the gateway keeps them."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_files

from gateway.journey.study_arrival.station import StudyArrival
from gateway.records.arrival import InstanceArrival
from gateway.wire.dimse import Caller, ExplainedFailure, StoreRequest
from tests.mapping.samples import SHIPPED

CALLER = Caller("SCANNER", "GATEWAY", "127.0.0.1")


@cache
def arrivals() -> dict[str, list[InstanceArrival]]:
    """Study Instance UID -> what its files are kept as; one file for each SOP Instance UID."""
    station = StudyArrival(None, SHIPPED.studies.keywords, 0, lambda: 1)  # type: ignore[arg-type]
    found: dict[str, dict[str, InstanceArrival]] = defaultdict(dict)
    for path in sorted(map(Path, get_testdata_files("**/*"))):
        if not path.is_file():
            continue
        try:
            meta = pydicom.filereader.read_file_meta_info(path)
            with path.open("rb") as file:
                pydicom.filereader.read_preamble(file, force=False)
                pydicom.filereader._read_file_meta_info(file)
                data = file.read()
            syntax = str(meta.TransferSyntaxUID)
            request = StoreRequest(
                CALLER, str(meta.MediaStorageSOPClassUID), str(meta.MediaStorageSOPInstanceUID), syntax, data
            )
            arrival = station._read(request, 1)
        except (ExplainedFailure, pydicom.errors.InvalidDicomError, AttributeError, EOFError):
            continue  # no instance, or none that a C-STORE could bring
        found[arrival.study_uid][arrival.sop_uid] = arrival
    return {uid: list(members.values()) for uid, members in found.items()}
