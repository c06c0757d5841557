"""What studies, series and instances are searched by over the web, and what every result holds (PS3.18 10.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from gateway.records.order import Attributes


class SearchLevel(StrEnum):
    """Of which level each result is."""

    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"

    @property
    def and_above(self) -> tuple[SearchLevel, ...]:
        """Those above, and this level."""
        levels = tuple(SearchLevel)
        return levels[: levels.index(self) + 1]


RETURNED: Final[Mapping[SearchLevel, frozenset[str]]] = {
    SearchLevel.STUDY: frozenset(
        {
            "StudyDate", "StudyTime", "AccessionNumber", "ModalitiesInStudy", "ReferringPhysicianName", "PatientName",
            "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "RetrieveURL",
            "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
        }
    ),
    SearchLevel.SERIES: frozenset(
        {"Modality", "SeriesInstanceUID", "SeriesNumber", "NumberOfSeriesRelatedInstances", "RetrieveURL"}
    ),
    SearchLevel.INSTANCE: frozenset(
        {"SOPClassUID", "SOPInstanceUID", "InstanceNumber", "InstanceAvailability", "RetrieveURL"}
    ),
}  # fmt: skip
"""Attributes of every result, without a value where none is known (PS3.18 Tables 10.6.3-3 to 10.6.3-5)."""
RETURNED_IF_KNOWN: Final[Mapping[SearchLevel, frozenset[str]]] = {
    SearchLevel.STUDY: frozenset({"TimezoneOffsetFromUTC"}),
    SearchLevel.SERIES: frozenset(
        {
            "TimezoneOffsetFromUTC", "SeriesDescription", "PerformedProcedureStepStartDate",
            "PerformedProcedureStepStartTime", "RequestAttributesSequence",
        }
    ),
    SearchLevel.INSTANCE: frozenset(
        {
            "TimezoneOffsetFromUTC", "Rows", "Columns", "BitsAllocated", "NumberOfFrames", "AvailableTransferSyntaxUID",
        }
    ),
}  # fmt: skip
"""Attributes of the results that have them."""
KEPT: Final[Mapping[SearchLevel, frozenset[str]]] = {
    SearchLevel.STUDY: frozenset(
        {
            "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
            "ReferringPhysicianName", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
            "TimezoneOffsetFromUTC",
        }
    ),
    SearchLevel.SERIES: frozenset(
        {
            "SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "SeriesDate", "SeriesTime",
            "BodyPartExamined", "ProtocolName", "StationName", "InstitutionName", "PerformingPhysicianName",
            "OperatorsName", "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime",
            "RequestAttributesSequence",
        }
    ),
    SearchLevel.INSTANCE: frozenset({"SOPInstanceUID", "SOPClassUID", "InstanceNumber"}),
}  # fmt: skip
"""Attributes that are kept at each level for searches, whatever the mapping reads: these can be matched."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What every match fulfils, so that a selection by it loses none. Empty: no condition."""

    study_uids: tuple[str, ...] = ()
    series_uids: tuple[str, ...] = ()
    sop_uids: tuple[str, ...] = ()
    sop_class_uids: tuple[str, ...] = ()
    patient_ids: tuple[str, ...] = ()
    accession_numbers: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    """Of the series itself; in upper case."""
    modalities_in_study: tuple[str, ...] = ()
    """Of any series of the study; in upper case."""
    name_prefix: str = ""
    """Of a name key (`gateway.worklist.names.name_key`)."""
    date_from: str = ""
    """DA, the first Study Date."""
    date_to: str = ""
    """DA, the last Study Date, included."""


NOTHING: Final[Attributes] = {}


class SearchRow(NamedTuple):
    """A study, series or instance, with what is kept of the levels above."""

    place: tuple[Any, ...]
    """Behind which the next row comes."""
    study: int
    study_uid: str
    of_study: Attributes
    series: int = 0
    series_uid: str = ""
    of_series: Attributes = NOTHING
    instance: int = 0
    sop_uid: str = ""
    sop_class_uid: str = ""
    of_instance: Attributes = NOTHING


@dataclass(frozen=True, slots=True)
class SeriesCount:
    """A series of a study."""

    study: int
    series: int
    modality: str
    instances: int
    """Without those that are excluded."""
