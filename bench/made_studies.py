"""Made-up studies, each of a patient and an order of its own."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.journey.study_arrival.reading import InstanceReader
from gateway.mapping import Mappings
from gateway.records.arrived_study import arrived_study
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study import Study
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


def study_of(mappings: Mappings, uid: str, datasets: Sequence[Dataset]) -> Study:
    """The study of these data sets, as the gateway would keep it."""
    reader, sender = InstanceReader(mappings.studies.keywords), Sender("CT1")
    incoming = [Incoming(sender, ImplicitVRLittleEndian, encode(one, True, True) or b"") for one in datasets]
    arrivals = [reader.read(one, 1) for one in incoming]
    return arrived_study(StudyInstanceUID(uid), arrivals, mappings.studies.rules).study
