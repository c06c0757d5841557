"""A study -> its FHIR R4 ImagingStudy, by the rows of `study_to_imagingstudy.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.errors import GatewayError, RequiredMissing
from gateway.mapping.attributes import look
from gateway.mapping.fhir_functions import FUNCTIONS, FhirSettings, Function
from gateway.mapping.language import Codes, MappingFile, Row
from gateway.mapping.study_dialect import COMPUTED, ELEMENTS, STUDY_DIALECT, element_of
from gateway.mapping.trace import Trace
from gateway.records.order import Attributes
from gateway.records.study import Study

__all__ = ["STUDY_DIALECT", "StudyMapping"]


@dataclass(frozen=True, slots=True)
class _Compiled:
    row: Row
    element: str
    is_list: bool
    function: Function
    codes: Codes | None


class StudyMapping:
    """`study_to_imagingstudy.yaml`, ready to be applied."""

    def __init__(self, file: MappingFile, settings: FhirSettings) -> None:
        self._settings = settings
        self._rows = {level: [_compile(row, file) for row in rows] for level, rows in file.rows.items()}
        self.keywords = {
            level: frozenset(
                path.split(".")[0] for row in rows for path in (*row.sources, *row.companions)
            ) - COMPUTED
            for level, rows in file.rows.items()
        }  # fmt: skip
        """The DICOM attributes that rows of each level read: what must be kept of a header."""

    def build(self, study: Study, *, instances: bool = True, trace: list[Trace] | None = None) -> dict[str, Any]:
        """The ImagingStudy of `study`, complete but for ids. Raises `GatewayError` with the attribute's place."""
        count = sum(len(series.instances) for series in study.series)
        attributes = {
            **study.attributes,
            "NumberOfStudyRelatedSeries": len(study.series),
            "NumberOfStudyRelatedInstances": count,
            "ModalitiesInStudy": sorted({str(one.attributes.get("Modality") or "OT") for one in study.series}),
            "LinkedOrder": list(study.orders),
        }
        resource = {"resourceType": "ImagingStudy", **self._level("study", attributes, trace)}
        all_series = []
        for series in study.series:
            facts = {**series.attributes, "NumberOfSeriesRelatedInstances": len(series.instances)}
            one = self._level("series", facts, trace)
            if instances and series.instances:
                one["instance"] = [self._level("instance", instance.attributes, trace) for instance in series.instances]
            all_series.append(one)
        if all_series:
            resource["series"] = all_series
        return resource

    def _level(self, level: str, attributes: Attributes, trace: list[Trace] | None) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for compiled in self._rows[level]:
            row = compiled.row
            value, source = self._value(compiled, attributes)
            if value is None or value == []:
                if row.required:
                    raise RequiredMissing(f"{row.target} of the {level} has no value", place=" or ".join(row.sources))
                continue
            if not compiled.is_list:
                result[compiled.element] = value
            else:
                result.setdefault(compiled.element, []).extend(value if isinstance(value, list) else [value])
            if trace is not None:
                trace.append(Trace(level, row.target, value, source, row.origin))
        return result

    def _value(self, compiled: _Compiled, attributes: Attributes) -> tuple[Any, str]:
        row = compiled.row
        for path in row.sources:
            raw = attributes.get(path) if "." not in path else look(attributes, path)
            if raw is None or raw == "" or raw == []:
                continue
            try:
                value = compiled.function(
                    raw, [look(attributes, one) for one in row.companions], compiled.codes, self._settings
                )
            except GatewayError as error:
                error.place = error.place or path
                raise
            if value is not None and value != []:
                return value, path
        if row.default:
            return compiled.function(row.default, (), compiled.codes, self._settings), "default"
        return None, ""


def _compile(row: Row, file: MappingFile) -> _Compiled:
    element = element_of(row.target)
    is_list = ELEMENTS[row.level][element].endswith("*")
    return _Compiled(row, element, is_list, FUNCTIONS[row.function or "text"], file.codes(row))
