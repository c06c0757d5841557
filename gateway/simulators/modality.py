"""A modality: asks for its worklist, begins and ends examinations (MPPS), and sends the studies that `studies.perform`
makes of the items."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.dataset import Dataset

from gateway.errors import Rejected
from gateway.simulators import performed_steps
from gateway.wire.dimse import client

_RETURNED = (
    "SpecificCharacterSet",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "RequestedProcedureDescription",
    "RequestedProcedureID",
    "RequestedProcedurePriority",
)
_RETURNED_OF_STEP = (
    "Modality",
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "ScheduledPerformingPhysicianName",
    "ScheduledProcedureStepDescription",
    "ScheduledProcedureStepID",
)


async def query(
    host: str,
    port: int,
    *,
    called_ae: str = "GATEWAY",
    calling_ae: str = "MODALITY",
    timeout: float = 30.0,
    modality: str = "",
    date: str = "",
    patient_id: str = "",
    accession_number: str = "",
) -> list[Dataset]:
    """The worklist items that match (PS3.4 K.6); an empty key matches everything.

    date: of the scheduled start, a day or a range in DA form (20300107-20300108). timeout: seconds. Raises
    `Unavailable` or `Rejected`.
    """
    step = Dataset()
    for keyword in _RETURNED_OF_STEP:
        setattr(step, keyword, "")
    step.Modality = modality
    step.ScheduledProcedureStepStartDate = date
    identifier = Dataset()
    for keyword in _RETURNED:
        setattr(identifier, keyword, "")
    identifier.PatientID = patient_id
    identifier.AccessionNumber = accession_number
    identifier.ScheduledProcedureStepSequence = [step]
    return await client.find_worklist(
        host, port, identifier, called_ae=called_ae, calling_ae=calling_ae, timeout=timeout
    )


async def begin(
    host: str,
    port: int,
    item: Dataset,
    *,
    called_ae: str = "GATEWAY",
    calling_ae: str = "MODALITY",
    timeout: float = 30.0,
) -> str:
    """Begin the examination of a worklist item by MPPS; returns the SOP Instance UID of the performed step.

    timeout: seconds. Raises `Unavailable` or `Rejected`.
    """
    uid, attributes = performed_steps.new_uid(), performed_steps.begun(item, calling_ae)
    await client.create_performed_step(
        host, port, uid, attributes, called_ae=called_ae, calling_ae=calling_ae, timeout=timeout
    )
    return uid


async def end(
    host: str,
    port: int,
    uid: str,
    study: Iterable[Dataset],
    *,
    called_ae: str = "GATEWAY",
    calling_ae: str = "MODALITY",
    timeout: float = 30.0,
) -> None:
    """Complete a performed step that has made the images of `study`. Raises `Unavailable` or `Rejected`."""
    attributes = performed_steps.ended(study)
    await client.set_performed_step(
        host, port, uid, attributes, called_ae=called_ae, calling_ae=calling_ae, timeout=timeout
    )


async def send(
    host: str,
    port: int,
    datasets: Iterable[Dataset],
    *,
    called_ae: str = "GATEWAY",
    calling_ae: str = "MODALITY",
    timeout: float = 30.0,
) -> int:
    """Store every instance over one association and say how many were; timeout in seconds, per response.

    Raises `Rejected` with the first instance that was not stored and its status, or `Unavailable`.
    """
    outcomes = await client.store(host, port, datasets, called_ae=called_ae, calling_ae=calling_ae, timeout=timeout)
    for sop_instance_uid, status in outcomes:
        if status:
            raise Rejected(f"C-STORE of {sop_instance_uid} answered {status:04X}", place=f"{called_ae}@{host}")
    return len(outcomes)
