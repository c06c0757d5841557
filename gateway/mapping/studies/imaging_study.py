# Long: the resource is built in the order of its elements.
"""A study -> its FHIR ImagingStudy, by the rows of `study_to_imagingstudy.yaml`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, get_args

from gateway.errors import GatewayError, InvalidValue, RequiredMissing
from gateway.mapping.attributes import look
from gateway.mapping.language.rows import Codes, MappingFile, Row
from gateway.mapping.language.trace import Trace
from gateway.mapping.studies.base import FhirSettings, Function, plain
from gateway.mapping.studies.dialect import (
    ELEMENTS,
    GATHERED,
    REFERENCED_ORDERS,
    REJECTION,
    STUDY_DIALECT,
    element_of,
    read_attributes,
    release_of,
)
from gateway.mapping.studies.document_reference import document_reference
from gateway.mapping.studies.functions import FUNCTIONS
from gateway.mapping.studies.imaging_study_r5 import as_r5
from gateway.mapping.studies.patient import PATIENT_KEYWORDS, patient
from gateway.mapping.studies.remarks import Remarks, is_listed, note_uids
from gateway.mapping.studies.tidy import tidied
from gateway.records.agreement import AgreementRules
from gateway.records.finding import Finding
from gateway.records.order import Attributes
from gateway.records.rejection import standing
from gateway.records.study import IN_FULL, Release, Series, Shape, Study, referenced_orders

__all__ = ["STUDY_DIALECT", "StudyMapping"]


@dataclass(frozen=True, slots=True)
class _Building:
    """One resource that is being built, and what is noted on the way."""

    release: Release
    trace: list[Trace] | None
    remarks: Remarks


@dataclass(frozen=True, slots=True)
class _CompiledRow:
    row: Row
    paths: tuple[tuple[str, str], ...]
    """The row's sources, each with its first keyword."""
    element: str
    is_list: bool
    function: Function
    codes: Codes | None

    def needs(self, stated: Collection[str]) -> bool:
        """Whether the row must be looked at where these attributes are stated: only then does it have a value, a fault,
        or lack what it must have."""
        return bool(self.row.required or self.row.default) or any(keyword in stated for _, keyword in self.paths)


_MOST_PLANS: Final = 1024
"""Lists of stated attributes, of all levels, whose rows are kept."""
ORDER_KEYWORDS: Final = frozenset({"ReferencedPerformedProcedureStepSequence", "RequestAttributesSequence"})
"""Attributes of a series that lead to its order."""
_ALWAYS: Final = {
    "study": PATIENT_KEYWORDS,
    "series": ORDER_KEYWORDS,
    "instance": REJECTION,
}
"""What is kept of a header whether or not a row reads it."""


class StudyMapping:
    """`study_to_imagingstudy.yaml`, ready to be applied."""

    def __init__(self, file: MappingFile, settings: FhirSettings, rules: AgreementRules) -> None:
        self.settings = settings
        self.rules: Final = rules
        """Which values count where the instances of a study state different ones."""
        self._rows = {
            (release, level): [_compile(row, file) for row in _of_release(rows, release)]
            for release in get_args(Release)
            for level, rows in file.rows.items()
        }
        self._rows_for = lru_cache(maxsize=_MOST_PLANS)(self._rows_that_need)
        gathered = GATHERED if any(REFERENCED_ORDERS in row.sources for row in file.rows["study"]) else {}
        nothing = frozenset[str]()
        self.keywords = {
            level: read_attributes(file, level) | gathered.get(level, nothing) | _ALWAYS.get(level, nothing)
            for level in file.rows
        }
        self.keywords["instance"] |= rules.keywords
        """The DICOM attributes that rows of each level read: what must be kept of a header."""

    def build(
        self,
        study: Study,
        *,
        shape: Shape = IN_FULL,
        trace: list[Trace] | None = None,
        findings: list[Finding] | None = None,
    ) -> dict[str, Any]:
        """What tells of `study`, complete but for ids; `findings` gets what it cannot say.

        Raises `GatewayError` with the attribute's place.
        """
        building = _Building(shape.release, trace, Remarks())
        note_uids(study, building.remarks)
        is_link = shape.resource == "DocumentReference"
        resource = tidied(self._imaging_study(study, Shape(instances=0, endpoint="") if is_link else shape, building))
        if findings is not None:
            findings += building.remarks.findings()
        if is_link:
            return document_reference(resource, study.uid, self.settings.viewer_url, shape.release)
        return as_r5(resource) if shape.release == "R5" else resource

    def patient(self, study: Study, resource: dict[str, Any]) -> dict[str, Any]:
        """The Patient to whom `resource` refers, as ADT, orders and the headers of `study` name him."""
        return patient({**study.attributes, **study.patient}, resource["subject"]["identifier"])

    def _imaging_study(self, study: Study, shape: Shape, building: _Building) -> dict[str, Any]:
        """By the names of R4."""
        left = standing(study)
        study = left.study
        count = sum(len(series.instances) for series in study.series)
        attributes = {
            **study.attributes,
            "NumberOfStudyRelatedSeries": len(study.series),
            "NumberOfStudyRelatedInstances": count,
            "ModalitiesInStudy": sorted({self._modality(building.release, one) for one in study.series}),
            "LinkedOrder": list(study.orders),
            REFERENCED_ORDERS: list(referenced_orders(study.series)),
        }
        resource = {"resourceType": "ImagingStudy", **self._level("study", study.uid, attributes, building)}
        if based_on := _orders_of_patient(resource.pop("basedOn", []), study):
            resource["basedOn"] = based_on
        if left.entered_in_error:
            resource["status"] = "entered-in-error"
        elif shape.endpoint and left.retrievable and self.settings.wado_rs_url:
            if shape.endpoint.startswith("#"):
                resource["contained"] = [wado_rs_endpoint(shape.endpoint[1:], self.settings.wado_rs_url)]
            resource["endpoint"] = [*resource.get("endpoint", ()), {"reference": shape.endpoint}]
        lists_instances = bool(shape.lists_instances(count))
        if shape.series and study.series:
            listed = [one for one in study.series if is_listed("series", one.uid, building.remarks)]
            resource["series"] = [self._series(one, lists_instances, building) for one in listed]
        return resource

    def _series(self, series: Series, lists_instances: bool, building: _Building) -> dict[str, Any]:
        facts = {**series.attributes, "NumberOfSeriesRelatedInstances": len(series.instances)}
        result = self._level("series", series.uid, facts, building)
        if lists_instances and series.instances:
            listed = (one for one in series.instances if is_listed("instance", one.uid, building.remarks))
            result["instance"] = [self._level("instance", one.uid, one.attributes, building) for one in listed]
        return result

    def _modality(self, release: Release, series: Series) -> str:
        """The modality of a series as the series itself names it."""
        rows = [one for one in self._rows[release, "series"] if one.element == "modality"]
        building = _Building(release, None, Remarks())
        codings = (self._value(one, series.uid, series.attributes, building)[0] for one in rows)
        return str(next((one["code"] for one in codings if one), "OT"))

    def _rows_that_need(self, release: Release, level: str, stated: tuple[str, ...]) -> Sequence[_CompiledRow]:
        """The rows to which something that states these attributes, and no others, can give a value or an error.

        Instances of one study mostly state the same attributes: the rows are chosen once for all of them.
        """
        return [one for one in self._rows[release, level] if one.needs(stated)]

    def _level(self, level: str, uid: str, attributes: Attributes, building: _Building) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for compiled in self._rows_for(building.release, level, tuple(attributes)):
            row = compiled.row
            value, source = self._value(compiled, uid, attributes, building)
            if value is None or value == []:
                if row.required:
                    raise RequiredMissing(f"{row.target} of the {level} has no value", place=" or ".join(row.sources))
                continue
            if not compiled.is_list:
                result[compiled.element] = value
            else:
                result.setdefault(compiled.element, []).extend(value if isinstance(value, list) else [value])
            if building.trace is not None:
                building.trace.append(Trace(level, row.target, value, source, row.origin))
        return result

    def _value(self, compiled: _CompiledRow, uid: str, attributes: Attributes, building: _Building) -> tuple[Any, str]:
        """The value of a row, and the path that has it."""
        row = compiled.row
        for path, keyword in compiled.paths:
            raw = attributes.get(keyword)
            if raw is not None and path != keyword:
                raw = look(attributes, path)
            if not raw and (raw is None or raw == "" or raw == []):
                continue
            try:
                if isinstance(raw, str) and not raw.isprintable() and not plain(raw):
                    raise InvalidValue("nothing but control characters")
                companions = [look(attributes, one) for one in row.companions] if row.companions else ()
                value = compiled.function(raw, companions, compiled.codes, self.settings)
            except InvalidValue as error:
                text = f"{row.target}: {error.message}; it is left out"
                building.remarks.add(row.level, uid, path, text, cause=row.target)
                continue
            except GatewayError as error:
                error.place = error.place or path
                raise
            if value is not None and value != []:
                return value, path
        if row.default:
            return compiled.function(row.default, (), compiled.codes, self.settings), "default"
        return None, ""


def _compile(row: Row, file: MappingFile) -> _CompiledRow:
    element = element_of(row.target)
    is_list = ELEMENTS[row.level][element].endswith("*")
    paths = tuple((path, path.partition(".")[0]) for path in row.sources)
    return _CompiledRow(row, paths, element, is_list, FUNCTIONS[row.function or "text"].function, file.codes(row))


def _of_release(rows: tuple[Row, ...], release: Release) -> Iterator[Row]:
    """The rows that hold for a release: a row for it alone takes the place of the row for all."""
    own = {row.target.partition("@")[0] for row in rows if release_of(row.target) == release}
    for row in rows:
        if release_of(row.target) == release or (not release_of(row.target) and row.target not in own):
            yield row


def _orders_of_patient(references: list[dict[str, Any]], study: Study) -> list[dict[str, Any]]:
    """Each order once, by its first name if it is named in several places by numbers of the same kind; none that is
    known to be another patient's."""
    seen, kept = set(), []
    for one in references:
        identifier = one.get("identifier") or {}
        kind = str(identifier.get("type"))
        key = (kind, identifier.get("value")) if identifier else (one.get("reference"), one.get("display"))
        if key not in seen and not (identifier.get("value") in study.foreign and "ACSN" in kind):
            kept.append(one)
        seen.add(key)
    return kept


def wado_rs_endpoint(identity: str, address: str) -> dict[str, Any]:
    """The R4 Endpoint where images are retrieved (PS3.18 10.4). DICOM has no payload type, so it is a text."""
    connection = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
    return {
        "resourceType": "Endpoint",
        "id": identity,
        "status": "active",
        "connectionType": {"system": connection, "code": "dicom-wado-rs"},
        "payloadType": [{"text": "DICOM WADO-RS"}],
        "payloadMimeType": ["application/dicom"],
        "address": address,
    }
