"""A modality that performs steps (MPPS), on pynetdicom, for tests: it receives the status as it came over the wire."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import build_context, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
)

from gateway.assembly import process as app
from tests.wire.dimse.peers import associated

CONTEXTS = [build_context(ModalityPerformedProcedureStep), build_context(ModalityPerformedProcedureStepRetrieve)]


@dataclass(frozen=True)
class Response:
    """What came back: the status, and what stands beside it in the command set."""

    status: int
    command: Dataset
    dataset: Dataset | None = None

    @property
    def uid(self) -> str:
        return str(self.command.get("AffectedSOPInstanceUID", ""))


@dataclass(frozen=True)
class Modality:
    port: int
    title: str = "CT1"

    async def create(self, attributes: Dataset | None, uid: str | None = None) -> Response:
        return await self._ask("create", attributes, ModalityPerformedProcedureStep, uid)

    async def set(self, attributes: Dataset, uid: str) -> Response:
        return await self._ask("set", attributes, ModalityPerformedProcedureStep, uid)

    async def get(self, uid: str, *tags: int) -> Response:
        classes = (ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve)
        return await self._ask("get", list(tags), classes[0], uid, 1, classes[1])

    async def _ask(self, operation: str, *arguments: Any) -> Response:
        received: list[Dataset] = []

        def work() -> Any:
            with associated(self.port, *CONTEXTS, calling=self.title) as association:
                association.bind(evt.EVT_DIMSE_RECV, lambda event: received.append(event.message.command_set))
                return getattr(association, f"send_n_{operation}")(*arguments)[1]

        dataset = await asyncio.to_thread(work)
        [command] = received
        return Response(int(command.Status), command, dataset)


def modality_of(gateway: app.Running, title: str = "CT1") -> Modality:
    return Modality(gateway.dicom_port, title)


def item(study: str = "1.2.3.4.5", step: str = "SPS1", accession: str = "ACC1", procedure: str = "RP1") -> Dataset:
    """An item of the Scheduled Step Attributes Sequence, as copied from the worklist."""
    made = Dataset()
    made.StudyInstanceUID = study
    made.ReferencedStudySequence = []
    made.AccessionNumber = accession
    made.RequestedProcedureID = procedure
    made.RequestedProcedureDescription = "CT head"
    made.ScheduledProcedureStepID = step
    made.ScheduledProcedureStepDescription = ""
    made.ScheduledProtocolCodeSequence = []
    return made


def begin(*items: Dataset, **values: Any) -> Dataset:
    """The attributes of an N-CREATE that a whole console sends."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 100"
    made.ScheduledStepAttributesSequence = list(items) or [item()]
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = "MUSTER^MAX", "PAT1", "19800102", "M"
    made.ReferencedPatientSequence = []
    made.PerformedProcedureStepID = "PPS1"
    made.PerformedStationAETitle = "CT1"
    made.PerformedProcedureStepStartDate, made.PerformedProcedureStepStartTime = "20260123", "130000"
    made.PerformedProcedureStepStatus = "IN PROGRESS"
    made.Modality = "CT"
    for keyword in (
        "PerformedStationName", "PerformedLocation", "PerformedProcedureStepDescription", "StudyID",
        "PerformedProcedureTypeDescription", "PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime",
    ):  # fmt: skip
        setattr(made, keyword, "")
    for keyword in ("ProcedureCodeSequence", "PerformedProtocolCodeSequence", "PerformedSeriesSequence"):
        setattr(made, keyword, [])
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def series(uid: str = "1.2.3.4.5.1") -> Dataset:
    made = Dataset()
    made.SeriesInstanceUID, made.ProtocolName, made.RetrieveAETitle = uid, "HEAD", "PACS"
    made.PerformingPhysicianName = made.OperatorsName = made.SeriesDescription = ""
    made.ReferencedImageSequence = made.ReferencedNonImageCompositeSOPInstanceSequence = []
    return made


def end(status: str = "COMPLETED", reason: str = "", **values: Any) -> Dataset:
    """The attributes of the last N-SET."""
    made = Dataset()
    made.PerformedProcedureStepStatus = status
    made.PerformedProcedureStepEndDate, made.PerformedProcedureStepEndTime = "20260123", "131500"
    made.PerformedSeriesSequence = [series()]
    if reason:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = reason, "DCM", "reason"
        made.PerformedProcedureStepDiscontinuationReasonCodeSequence = [code]
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def going_on(**values: Any) -> Dataset:
    """The attributes of an N-SET that ends nothing."""
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made
