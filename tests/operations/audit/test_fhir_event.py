"""Events as FHIR R4 AuditEvents: valid, and after BALP where a resource was written to an EHR."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fhir.resources.R4B.auditevent import AuditEvent as R4AuditEvent

from gateway.operations.audit.dicom_message import AuditSource
from gateway.operations.audit.fhir_event import fhir_event
from gateway.records.audit import AuditEvent, AuditKind
from tests.operations.audit.events import EVENTS

SOURCE = AuditSource("Test site", "gateway1")


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind.value)
def test_an_event_is_a_valid_resource(event: AuditEvent) -> None:
    R4AuditEvent.model_validate(fhir_event(event, SOURCE))


def test_a_delivery_is_a_rest_update_of_a_patients_resource() -> None:
    [export] = [event for event in EVENTS if event.kind is AuditKind.DATA_EXPORT]
    detail = {"resource": "ImagingStudy/7", "status": "200", "request": "0f8fad5b-d9cb-469f-a165-70867728950e"}
    resource = fhir_event(replace(export, detail=detail), SOURCE)
    assert resource["meta"]["profile"][0].endswith("IHE.BasicAudit.PatientUpdate")
    assert (resource["type"]["code"], resource["subtype"][0]["code"], resource["action"]) == ("rest", "update", "U")
    assert [agent["type"]["coding"][0]["code"] for agent in resource["agent"]] == ["110153", "110152"]
    transaction = [one for one in resource["entity"] if one["type"]["code"] == "XrequestId"]
    assert [one["what"]["identifier"]["value"] for one in transaction] == [detail["request"]]
    created = fhir_event(replace(export, detail=detail | {"status": "201"}), SOURCE)
    assert created["subtype"][0]["code"] == "create"
