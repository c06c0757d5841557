"""Performed steps of made-up examinations: what a modality reports of them by MPPS (PS3.4 F.7.2)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby

from pydicom.dataset import Dataset

_OF_ITEM = ("StudyInstanceUID", "AccessionNumber", "RequestedProcedureID", "RequestedProcedureDescription")
_OF_STEP = ("ScheduledProcedureStepID", "ScheduledProcedureStepDescription")
_PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
_EMPTY = (
    "PerformedStationName", "PerformedLocation", "PerformedProcedureStepDescription",
    "PerformedProcedureTypeDescription", "PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime",
)  # fmt: skip
_NO_ITEMS = (
    "ReferencedPatientSequence", "ProcedureCodeSequence", "PerformedProtocolCodeSequence", "PerformedSeriesSequence",
    "PerformedProcedureStepDiscontinuationReasonCodeSequence",
)  # fmt: skip


def new_uid() -> str:
    """A SOP Instance UID for a performed step (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def begun(item: Dataset, station_ae: str) -> Dataset:
    """The attributes of the N-CREATE that begins the examination of a worklist item, now."""
    [step, *_] = item.ScheduledProcedureStepSequence
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.TimezoneOffsetFromUTC = "+0000"
    dataset.ScheduledStepAttributesSequence = [_scheduled(item, step)]
    for keyword in _PATIENT:
        setattr(dataset, keyword, _text(item, keyword))
    for keyword in _EMPTY:
        setattr(dataset, keyword, "")
    for keyword in _NO_ITEMS:
        setattr(dataset, keyword, [])
    now = datetime.now(UTC)
    dataset.PerformedProcedureStepID = f"P{now:%m%d%H%M%S%f}"[:16]
    dataset.PerformedStationAETitle = station_ae
    dataset.PerformedProcedureStepStartDate, dataset.PerformedProcedureStepStartTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    dataset.PerformedProcedureStepStatus = "IN PROGRESS"
    dataset.Modality = _text(step, "Modality")
    dataset.StudyID = _text(item, "RequestedProcedureID")
    return dataset


def _scheduled(item: Dataset, step: Dataset) -> Dataset:
    scheduled = Dataset()
    for source, keywords in ((item, _OF_ITEM), (step, _OF_STEP)):
        for keyword in keywords:
            setattr(scheduled, keyword, _text(source, keyword))
    scheduled.ReferencedStudySequence = scheduled.ScheduledProtocolCodeSequence = []
    return scheduled


def ended(study: Iterable[Dataset], *, status: str = "COMPLETED") -> Dataset:
    """The attributes of the N-SET that ends the examination, now, with the series and images that it made."""
    dataset = Dataset()
    now = datetime.now(UTC)
    dataset.PerformedProcedureStepStatus = status
    dataset.PerformedProcedureStepEndDate, dataset.PerformedProcedureStepEndTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    in_order = sorted(study, key=lambda one: str(one.SeriesInstanceUID))
    by_series = groupby(in_order, key=lambda one: str(one.SeriesInstanceUID))
    dataset.PerformedSeriesSequence = [_series(list(instances)) for _, instances in by_series]
    return dataset


def _series(instances: Sequence[Dataset]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = instances[0].SeriesInstanceUID
    series.ProtocolName = _text(instances[0], "SeriesDescription") or "Protocol"
    series.SeriesDescription = _text(instances[0], "SeriesDescription")
    series.PerformingPhysicianName = series.OperatorsName = series.RetrieveAETitle = ""
    series.ReferencedImageSequence = [_reference(one) for one in instances]
    series.ReferencedNonImageCompositeSOPInstanceSequence = []
    return series


def _reference(instance: Dataset) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = instance.SOPClassUID, instance.SOPInstanceUID
    return reference


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "")
