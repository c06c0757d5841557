"""A performed step that was completed (MPPS) as a FHIR Procedure."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from gateway.errors import InvalidValue
from gateway.mapping.studies.base import SCT, FhirSettings, first, plain
from gateway.mapping.studies.functions import codeable_concepts, date_time
from gateway.mapping.studies.references import display, encounter_reference, operators, performers, request_references
from gateway.records.order import Attributes
from gateway.records.performed_step import SCHEDULED_STEPS
from gateway.records.study import Release

_DIAGNOSTIC: Final = {"coding": [{"system": SCT, "code": "103693007", "display": "Diagnostic procedure"}]}
_STEP: Final = "PerformedProcedureStep"


def procedure(
    sop_uid: str,
    attributes: Attributes,
    subject: dict[str, Any],
    requests: Sequence[dict[str, Any]],
    settings: FhirSettings,
    release: Release,
) -> tuple[dict[str, Any], str]:
    """The Procedure of a completed performed step, and the identifier (`system|value`) it is known by.

    `requests`: references to the ServiceRequests of the orders that it is linked to; none: what the modality itself
    states of orders counts.
    """
    identifier = {"system": "urn:dicom:uid", "value": f"urn:oid:{sop_uid}"}
    period = {"start": _moment(attributes, "Start", settings), "end": _moment(attributes, "End", settings)}
    resource: dict[str, Any] = {
        "resourceType": "Procedure",
        "identifier": [identifier],
        "basedOn": _once([*requests] or request_references(attributes.get(SCHEDULED_STEPS), [], None, settings)),
        "status": "completed",
        "category": _DIAGNOSTIC,
        "code": _code(attributes, settings),
        "subject": subject,
        "encounter": encounter_reference(attributes["AdmissionID"], [None], None, settings)
        if attributes.get("AdmissionID")
        else None,
        "performedPeriod": {key: moment for key, moment in period.items() if moment},
        "performer": _performers(attributes, settings),
        "location": display(attributes["PerformedLocation"], [], None, settings)
        if attributes.get("PerformedLocation")
        else None,
        "note": [{"text": text} for text in [_text(attributes, "CommentsOnThePerformedProcedureStep")] if text],
    }
    resource = {key: value for key, value in resource.items() if value}
    return (_as_r5(resource) if release == "R5" else resource), f"{identifier['system']}|{identifier['value']}"


def _code(attributes: Attributes, settings: FhirSettings) -> dict[str, Any] | None:
    """What was performed: the procedure's code, else the first protocol's, with the description of the step."""
    coded = next((one for keyword in _CODES for one in _concepts(attributes, keyword, settings)), None)
    text = _text(attributes, f"{_STEP}Description") or _text(attributes, "PerformedProcedureTypeDescription")
    return ({**coded, "text": text} if text else coded) if coded else ({"text": text} if text else None)


_CODES: Final = ("ProcedureCodeSequence", "PerformedProtocolCodeSequence")


def _concepts(attributes: Attributes, keyword: str, settings: FhirSettings) -> list[dict[str, Any]]:
    items = attributes.get(keyword)
    return list(codeable_concepts(items, [], None, settings)) if items else []


def _performers(attributes: Attributes, settings: FhirSettings) -> list[dict[str, Any]]:
    """Who performed any of the series, and who operated the modality."""
    series = [one for one in attributes.get("PerformedSeriesSequence") or () if isinstance(one, dict)]
    found = [
        performer
        for one in series
        for keyword, function in (("PerformingPhysicianName", performers), ("OperatorsName", operators))
        if one.get(keyword)
        for performer in function(one[keyword], [], None, settings)
    ]
    return _once(found)


def _once(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for number, one in enumerate(values) if one not in values[:number]]


def _moment(attributes: Attributes, which: str, settings: FhirSettings) -> str | None:
    date, time = attributes.get(f"{_STEP}{which}Date"), attributes.get(f"{_STEP}{which}Time")
    with suppress(InvalidValue):
        return date_time(date, [time, attributes.get("TimezoneOffsetFromUTC")], None, settings) if date else None
    return None


def _text(attributes: Attributes, keyword: str) -> str:
    return plain(str(first(attributes.get(keyword)) or ""))


def _as_r5(resource: dict[str, Any]) -> dict[str, Any]:
    changed = {key: value for key, value in resource.items() if key != "performedPeriod"}
    changed["category"] = [resource["category"]]
    if "performedPeriod" in resource:
        changed["occurrencePeriod"] = resource["performedPeriod"]
    return changed
