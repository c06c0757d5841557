"""A hospital of any values: examinations written to the tables as the stations write them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, insert, select

from gateway.store.schema import (
    instances,
    orders,
    outbox,
    patients,
    performed_step_links,
    performed_steps,
    procedures,
    queries,
    query_matches,
    series,
    steps,
    studies,
)

SECOND = 1_000_000
NINE = 1_767_603_600 * SECOND
"""2026-01-05T09:00:00Z."""
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


@dataclass(frozen=True)
class Examination:
    """What identifies somebody in it. `text`: from an attribute to what a sender wrote, where it may be anything."""

    number: int
    name: str
    patient_id: str
    issuer: str
    accession: str
    study_uid: str
    born: str
    text: Callable[[str], str]
    begun_at: int = NINE
    sex: str = "F"
    modality: str = "CT"
    code: str = "CTCHEST"
    scheme: str = "L"

    @property
    def identities(self) -> list[str]:
        """Values that must not leave."""
        return [self.name, self.patient_id, self.accession, self.study_uid, self.born]


def _add(connection: Connection, table: Table, **values: Any) -> int:
    key = connection.execute(insert(table).values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def add(connection: Connection, one: Examination) -> int:
    """Order, query, performed step, two instances, settled, taken by an EHR; each 10 minutes after what was before."""
    at = [one.begun_at + minutes * 60 * SECOND + one.number for minutes in range(0, 90, 10)]
    order, step = _ordered(connection, one, at)
    query = _add(
        connection, queries, asked_at=at[1], calling_ae=one.text("AE"), address="127.0.0.1", keys={}, status=0,
        matches=1, micros=1,
    )  # fmt: skip
    connection.execute(insert(query_matches).values(query=query, step=step))
    performed = _add(
        connection, performed_steps, sop_uid=f"{one.study_uid}.7", state="COMPLETED", calling_ae=one.text("AE"),
        accession=one.accession, attributes={"PatientName": one.name}, findings=[], digest=b"", begun_at=at[2],
        ended_at=at[3], end_event="end", created_at=at[2], updated_at=at[3],
    )  # fmt: skip
    _add(
        connection, performed_step_links, performed_step=performed, order=order, study_uid=one.study_uid,
        step_id=one.text("ScheduledProcedureStepID"), match="step",
    )  # fmt: skip
    _arrived(connection, one, at)
    _add(
        connection, outbox, kind="ehr:main", lane=f"ehr:main|{one.study_uid}", subject=one.study_uid, payload={},
        state="done", due_at=at[6], attempts=1, lease="", lease_until=0, created_at=at[6], finished_at=at[7],
    )  # fmt: skip
    return order


def _ordered(connection: Connection, one: Examination, at: list[int]) -> tuple[int, int]:
    text = one.text
    attributes = {
        "PatientName": one.name, "PatientBirthDate": one.born, "PatientSex": one.sex,
        "PatientComments": text("Comments"), "PatientAddress": text("PatientAddress"),
    }  # fmt: skip
    who = (patients.c.patient_id == one.patient_id, patients.c.issuer == one.issuer)
    patient = connection.execute(select(patients.c.id).where(*who)).scalar() or _add(
        connection, patients, patient_id=one.patient_id, issuer=one.issuer, attributes=attributes, updated_at=at[0]
    )
    order = _add(
        connection, orders, patient=patient, authority=one.issuer, accession=one.accession, sender=text("sender"),
        placer=text("placer"), filler=text("filler"), attributes={"RequestingPhysician": text("RequestingPhysician")},
        event_at=at[0], created_at=at[0], updated_at=at[0],
    )  # fmt: skip
    said = {
        "RequestedProcedureDescription": text("RequestedProcedureDescription"), "RequestedProcedurePriority": "STAT",
        "RequestedProcedureCodeSequence": [
            {"CodeValue": one.code, "CodingSchemeDesignator": one.scheme, "CodeMeaning": text("CodeMeaning")}
        ],
        "ReasonForTheRequestedProcedure": text("Reason"),
    }  # fmt: skip
    procedure = _add(
        connection, procedures, order=order, requested_procedure_id=text("RequestedProcedureID"),
        study_uid=one.study_uid, attributes=said, event_at=at[0],
    )  # fmt: skip
    step = _add(
        connection, steps, procedure=procedure, step_id=text("ScheduledProcedureStepID"), state="COMPLETED",
        modality=one.modality, station_ae=text("AE"), start_date="20260105", start_time="1030",
        attributes={"ScheduledProcedureStepDescription": text("Description")}, updated_at=at[3],
    )  # fmt: skip
    return order, step


def _arrived(connection: Connection, one: Examination, at: list[int]) -> None:
    text = one.text
    study = _add(
        connection, studies, study_uid=one.study_uid, accession=one.accession, patient_id=one.patient_id,
        patient_issuer=one.issuer, source_ae=text("AE"), revision=2, settled_revision=2, first_at=at[4], last_at=at[5],
        settled_at=at[6],
        attributes={
            "PatientName": one.name, "PatientID": one.patient_id, "StudyDescription": text("StudyDescription"),
            "StudyDate": "20260105", "StudyTime": "093000", "StudyID": text("StudyID"),
            "AccessionNumber": one.accession,
            "ReferringPhysicianName": text("ReferringPhysicianName"),
        },
    )  # fmt: skip
    of_study = _add(
        connection, series, study=study, series_uid=f"{one.study_uid}.1",
        attributes={
            "Modality": one.modality, "SeriesNumber": "1", "SeriesDescription": text("SeriesDescription"),
            "BodyPartExamined": "CHEST", "Laterality": "R", "SeriesDate": "20260105", "SeriesTime": "093100",
            "Manufacturer": text("Manufacturer"), "ManufacturerModelName": text("Model"),
            "StationName": text("StationName"), "InstitutionName": text("InstitutionName"),
            "OperatorsName": [text("OperatorsName")],
        },
    )  # fmt: skip
    for number in (1, 2):
        _add(
            connection, instances, series=of_study, sop_uid=f"{one.study_uid}.1.{number}", sop_class_uid=CT_IMAGE,
            attributes={"InstanceNumber": str(number), "ContentLabel": text("ContentLabel")},
            transfer_syntax_uid=LITTLE_ENDIAN, header=one.name.encode(), digest=b"", received_at=at[4],
        )  # fmt: skip
