"""Made-up studies, each of a patient and an order of its own."""

from __future__ import annotations

from pydicom.dataset import Dataset

from gateway.simulators.studies import perform


def study_uid(number: int) -> str:
    return f"1.2.826.0.1.3680043.8.498.77.{number}"


def made_study(number: int, *, series: int, instances: int) -> list[Dataset]:
    """The instances of a CT study, `instances` in each of `series`."""
    item = Dataset()
    item.AccessionNumber = f"A{number:06}"
    item.PatientID, item.PatientName, item.IssuerOfPatientID = f"P{number:06}", f"GROWING^{number}", "RIS"
    item.PatientBirthDate, item.PatientSex = "19700101", "O"
    item.StudyInstanceUID = study_uid(number)
    item.RequestedProcedureDescription, item.RequestedProcedureID = "CT thorax", f"R{number}"
    step = Dataset()
    step.Modality, step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "CT", "20300107", "0800"
    step.ScheduledProcedureStepID, step.ScheduledProcedureStepDescription = f"S{number}", "CT thorax"
    step.ScheduledStationAETitle, step.ScheduledPerformingPhysicianName = "CT1", "READER^A"
    item.ScheduledProcedureStepSequence = [step]
    return list(perform(item, series=series, instances=instances))
