"""Every column of every table: what leaves, and as what (PS3.15 Table E.1-1, for what is kept here)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.operations.export import cleaning
from gateway.operations.export.cleaning import one_of
from gateway.operations.export.column import Column, ColumnType
from gateway.operations.export.treatment import Retained, Treatment

_C = Column
_TEXT, _WHOLE, _SECONDS, _MOMENT = ColumnType.TEXT, ColumnType.WHOLE, ColumnType.SECONDS, ColumnType.MOMENT
_KEPT, _PSEUDONYM, _UID = Treatment.KEPT, Treatment.PSEUDONYM, Treatment.REPLACED_UID
_SHIFTED, _COARSE, _OUT = Treatment.SHIFTED, Treatment.COARSE, Treatment.LEFT_OUT
_DEVICE, _INSTITUTION = Retained.DEVICE, Retained.INSTITUTION

_PATIENT: Final = _C("patient", _TEXT, _PSEUDONYM, "PatientID with its issuer")
_ORDER: Final = _C("order", _TEXT, _PSEUDONYM, "AccessionNumber, else the order number, with its issuer")
_STUDY: Final = _C("study_uid", _TEXT, _UID, "StudyInstanceUID")
_SERIES: Final = _C("series_uid", _TEXT, _UID, "SeriesInstanceUID")
_SEX: Final = _C("patient_sex", _TEXT, _KEPT, "PatientSex", one_of(lambda: cleaning.SEXES))
_AGE: Final = _C("patient_age", _WHOLE, _COARSE, "PatientBirthDate, as years on the day of the row")
_MODALITY: Final = _C("modality", _TEXT, _KEPT, "Modality", one_of(cleaning.modalities))
_CODE: Final = (
    _C("procedure_code", _TEXT, _KEPT, "CodeValue of RequestedProcedureCodeSequence or ProcedureCodeSequence"),
    _C("procedure_scheme", _TEXT, _KEPT, "CodingSchemeDesignator of the same", cleaning.scheme),
)
_PERSON: Final = (
    _C("patient_name", _TEXT, _OUT, "PatientName"),
    _C("patient_birth_date", _TEXT, _OUT, "PatientBirthDate"),
    _C("patient_other", _TEXT, _OUT, "every other attribute of patient and visit"),
)
_STATION: Final = _C("station", _TEXT, _PSEUDONYM, "ScheduledStationAETitle or the calling AE title",
                     cleaning.retained, "station", _DEVICE)  # fmt: skip


def _moment(name: str, source: str) -> Column:
    return _C(name, _MOMENT, _SHIFTED, source)


def _seconds(name: str, source: str) -> Column:
    return _C(name, _SECONDS, _KEPT, source)


ORDERS: Final = (
    _ORDER, _PATIENT, _SEX, _AGE,
    _C("sender", _TEXT, _PSEUDONYM, "MSH-3 and MSH-4", cleaning.retained, "sender", _INSTITUTION),
    _moment("received", "when the first message of the order came"),
    _moment("changed", "when the order changed last"),
    _C("accession_number", _TEXT, _OUT, "AccessionNumber"),
    _C("placer_number", _TEXT, _OUT, "PlacerOrderNumberImagingServiceRequest"),
    _C("filler_number", _TEXT, _OUT, "FillerOrderNumberImagingServiceRequest"),
    *_PERSON,
    _C("order_other", _TEXT, _OUT, "every other attribute of the order: physicians, reasons, comments, telephones"),
)  # fmt: skip
STEPS: Final = (
    _C("step", _TEXT, _PSEUDONYM, "ScheduledProcedureStepID"),
    _ORDER, _PATIENT, _STUDY,
    _C("state", _TEXT, _KEPT, "state of the scheduled step", one_of(lambda: cleaning.STATES)),
    _MODALITY, _STATION,
    _moment("scheduled", "ScheduledProcedureStepStartDate and Time"),
    _moment("changed", "when the step changed last"),
    _C("priority", _TEXT, _KEPT, "RequestedProcedurePriority", one_of(lambda: cleaning.PRIORITIES)),
    *_CODE,
    _C("procedure_id", _TEXT, _OUT, "RequestedProcedureID"),
    _C("procedure_description", _TEXT, _OUT, "RequestedProcedureDescription, CodeMeaning"),
    _C("step_other", _TEXT, _OUT, "every other attribute of procedure and step"),
)  # fmt: skip
TIMES: Final = (
    _ORDER, _PATIENT, _STUDY, _MODALITY, _STATION,
    _moment("received", "when the first message of the order came"),
    _moment("first_shown", "when a scanner was first answered with a step, of the queries that are kept"),
    _moment("exam_begun", "when the first performed step began"),
    _moment("exam_ended", "when the last performed step ended"),
    _moment("first_instance", "when the first instance came"),
    _moment("settled", "when the study settled last"),
    _moment("in_ehr", "when the first EHR took the study"),
    _seconds("received_to_shown", "from received to first_shown"),
    _seconds("received_to_exam", "from received to exam_begun, without it to first_instance"),
    _seconds("exam", "from exam_begun to exam_ended"),
    _seconds("exam_to_settled", "from exam_begun, without it first_instance, to settled"),
    _seconds("exam_to_ehr", "from exam_begun, without it first_instance, to in_ehr"),
)  # fmt: skip
STUDIES: Final = (
    _STUDY, _PATIENT, _SEX, _AGE,
    _C("source", _TEXT, _PSEUDONYM, "calling AE title of who stored it", cleaning.retained, "station", _DEVICE),
    _C("institution", _TEXT, _PSEUDONYM, "InstitutionName, of a series", cleaning.retained, "", _INSTITUTION),
    _moment("started", "StudyDate and StudyTime"),
    _moment("first_instance", "when the first instance came"),
    _moment("last_instance", "when the last instance came"),
    _moment("settled", "when it settled last"),
    _C("withdrawn", _WHOLE, _KEPT, "1: a person stated that it is in error"),
    _C("series", _WHOLE, _KEPT, "number of series"),
    _C("instances", _WHOLE, _KEPT, "number of instances, without those of another study now"),
    *_CODE,
    _C("accession_number", _TEXT, _OUT, "AccessionNumber"),
    _C("study_id", _TEXT, _OUT, "StudyID"),
    _C("study_description", _TEXT, _OUT, "StudyDescription, RequestedProcedureDescription, CodeMeaning"),
    *_PERSON,
    _C("study_other", _TEXT, _OUT, "every other attribute of the study"),
)  # fmt: skip
SERIES: Final = (
    _SERIES, _STUDY, _MODALITY,
    _C("number", _WHOLE, _KEPT, "SeriesNumber", cleaning.number),
    _C("body_part", _TEXT, _KEPT, "BodyPartExamined", one_of(cleaning.body_parts)),
    _C("laterality", _TEXT, _KEPT, "Laterality", one_of(lambda: cleaning.SIDES)),
    _moment("started", "SeriesDate and SeriesTime"),
    _C("instances", _WHOLE, _KEPT, "number of instances, without those of another study now"),
    _C("manufacturer", _TEXT, _OUT, "Manufacturer", cleaning.retained, "", _DEVICE),
    _C("model", _TEXT, _OUT, "ManufacturerModelName", cleaning.retained, "", _DEVICE),
    _C("station_name", _TEXT, _OUT, "StationName", cleaning.retained, "", _DEVICE),
    _C("series_description", _TEXT, _OUT, "SeriesDescription, ProtocolName"),
    _C("series_other", _TEXT, _OUT, "every other attribute of the series: operators, physicians, serial numbers"),
)  # fmt: skip
INSTANCES: Final = (
    _C("sop_uid", _TEXT, _UID, "SOPInstanceUID"),
    _SERIES, _STUDY,
    _C("sop_class_uid", _TEXT, _KEPT, "SOPClassUID", cleaning.standard_uid),
    _C("transfer_syntax_uid", _TEXT, _KEPT, "TransferSyntaxUID", cleaning.standard_uid),
    _C("number", _WHOLE, _KEPT, "InstanceNumber", cleaning.number),
    _C("header", _TEXT, _OUT, "the header of the instance, and its pixels"),
    _C("instance_other", _TEXT, _OUT, "every other attribute of the instance"),
)  # fmt: skip

TABLES: Final[Mapping[str, tuple[Column, ...]]] = {
    "orders": ORDERS, "steps": STEPS, "times": TIMES, "studies": STUDIES, "series": SERIES, "instances": INSTANCES,
}  # fmt: skip
"""Name of a file -> its columns, in the order in which they are written."""


def written(table: str, retained: frozenset[Retained]) -> tuple[Column, ...]:
    """The columns that are in the file of a table."""
    return tuple(column for column in TABLES[table] if column.is_written(retained))
