"""A completed performed step as a Procedure, before the validators of others."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.mapping.studies.procedure import procedure
from gateway.mapping.studies.service_request import request_reference, subject_of
from gateway.wire.fhir.validation import faults_of
from tests.mapping.studies.test_service_request import CODE, ORDER, PATIENT, RELEASES, SETTINGS
from tests.peers.fhir_validators import Validators

SERIES = {
    "PerformingPhysicianName": "Roe^Ann",
    "OperatorsName": ["Tech^Tom", "Tech^Tim"],
    "SeriesInstanceUID": "1.2.3.1",
}
STEP: dict[str, Any] = {
    "ScheduledStepAttributesSequence": [{"StudyInstanceUID": "1.2.3", "AccessionNumber": "A9"}],
    "ProcedureCodeSequence": [CODE],
    "PerformedProcedureStepDescription": "CT chest, contrast",
    "PerformedProcedureStepStartDate": "20260116",
    "PerformedProcedureStepStartTime": "0905",
    "PerformedProcedureStepEndDate": "20260116",
    "PerformedProcedureStepEndTime": "092030.5",
    "PerformedSeriesSequence": [SERIES, SERIES],
    "PerformedLocation": "Room 4",
    "AdmissionID": "V1",
    "CommentsOnThePerformedProcedureStep": "moved",
}
SUBJECT = subject_of(ORDER, PATIENT, SETTINGS)
REQUEST = request_reference(ORDER, SETTINGS)


@pytest.mark.parametrize("release", RELEASES)
def test_every_part_of_a_performed_step_is_said(release: Any, fhir_validators: Validators) -> None:
    made, identifier = procedure("1.9", STEP, SUBJECT, [REQUEST, REQUEST], SETTINGS, release)
    assert faults_of(made, release) == []
    assert {name: one for name, one in fhir_validators.findings(release, made).items() if one} == {}
    assert identifier == "urn:dicom:uid|urn:oid:1.9"
    assert (made["status"], made["basedOn"], made["subject"]) == ("completed", [REQUEST], SUBJECT)
    period = made["performedPeriod" if release == "R4" else "occurrencePeriod"]
    assert period == {"start": "2026-01-16T09:05:00+01:00", "end": "2026-01-16T09:20:30.500+01:00"}
    assert (made["code"]["coding"][0]["code"], made["code"]["text"]) == ("RPID16", "CT chest, contrast")
    assert [one["actor"]["display"] for one in made["performer"]] == ["Ann Roe", "Tom Tech", "Tim Tech"]
    assert (made["location"]["display"], made["note"]) == ("Room 4", [{"text": "moved"}])
    assert made["encounter"]["identifier"]["value"] == "V1"


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_modality_leaves_out_is_left_out(release: Any, fhir_validators: Validators) -> None:
    attributes = {"PerformedProcedureStepStartDate": "2026", "PerformedSeriesSequence": [], "ProcedureCodeSequence": ""}
    made, _ = procedure("1.9", attributes, SUBJECT, [], SETTINGS, release)
    assert faults_of(made, release) == []
    assert {name: one for name, one in fhir_validators.findings(release, made).items() if one} == {}
    assert made.keys() == {"resourceType", "identifier", "status", "category", "subject"}


def test_without_a_link_the_orders_that_the_modality_states_count() -> None:
    made, _ = procedure("1.9", STEP, SUBJECT, [], SETTINGS, "R4")
    assert [one["identifier"]["value"] for one in made["basedOn"]] == ["A9"]
