"""Instances whose files are kept, for pages and routes of previews."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, select

from gateway.records.agreement import AgreementRules
from gateway.records.arrival import InstanceArrival
from gateway.records.identifiers import SeriesInstanceUID, SOPInstanceUID, StudyInstanceUID
from gateway.records.pixel_file import StoredFile
from gateway.store import Store, pixel_files, study_arrivals
from gateway.store.schema import instances
from tests.web.served import NINE, STUDY

CT = "1.2.840.10008.5.1.4.1.1.2"
REPORT = "1.2.840.10008.5.1.4.1.1.88.11"


@dataclass(frozen=True)
class Kept:
    """An instance that came, and its file in `folder`; no source: it came without pixels."""

    number: int
    source: Path | None = None
    patient_id: str = "4711"
    series: str = f"{STUDY}.1"
    sop_class: str = CT

    @property
    def uid(self) -> str:
        return f"{self.series}.{self.number}"

    @property
    def preview(self) -> str:
        return f"/api/studies/{STUDY}/series/{self.series}/instances/{self.uid}/preview.jpg"


async def keep(store: Store, *kept: Kept) -> None:
    for one in kept:
        await store.write(partial(_keep, one=one))


def _keep(connection: Connection, one: Kept) -> None:
    other = {"PatientID": one.patient_id} if one.patient_id != "4711" else {}
    arrival = InstanceArrival(
        study_uid=StudyInstanceUID(STUDY), study={"PatientID": "4711", "AccessionNumber": "A100"},
        series_uid=SeriesInstanceUID(one.series), series={"Modality": "CT", "SeriesDescription": "Axial <1 mm>"},
        sop_uid=SOPInstanceUID(one.uid), sop_class_uid=one.sop_class,
        instance={"InstanceNumber": str(one.number), **other}, transfer_syntax_uid="1.2.840.10008.1.2.1",
        header=zlib.compress(b"header"), digest=one.number.to_bytes(32, "big"), source_ae="CT1", received_at=NINE,
    )  # fmt: skip
    study_arrivals.keep(connection, arrival, AgreementRules())
    row = connection.execute(select(instances.c.id).where(instances.c.sop_uid == one.uid)).scalar_one()
    if one.source is not None:
        stored = StoredFile(one.source.name, 100, one.number.to_bytes(32, "big"))
        pixel_files.keep(connection, row, stored, "1.2.840.10008.1.2.1", NINE)


async def row_of_file(store: Store, one: Kept) -> int:
    def read(connection: Connection) -> int:
        row = connection.execute(select(instances.c.id).where(instances.c.sop_uid == one.uid)).scalar_one()
        file = pixel_files.of_instance(connection, row)
        assert file is not None
        return file.id

    return await store.read(read)
