"""Orders as ServiceRequests, before the validators of others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.mapping.studies.service_request import service_request, status_of
from gateway.records.identifiers import AccessionNumber
from gateway.records.imaging_order import Order, Procedure, Step
from gateway.records.order import Number
from gateway.records.row_ids import PatientRow
from gateway.records.step import StepState
from gateway.records.study import Release
from gateway.wire.fhir.validation import faults_of
from tests.mapping.samples import SHIPPED
from tests.peers.fhir_validators import Validators

S = StepState
PATIENT = {"PatientID": "P1", "IssuerOfPatientID": "HOSPITAL", "PatientName": "Doe^Jane"}
CODE = {"CodeValue": "RPID16", "CodingSchemeDesignator": "RADLEX", "CodeMeaning": "CT chest"}
REASON = {"CodeValue": "R05", "CodingSchemeDesignator": "I10", "CodeMeaning": "Cough"}
STEP = {"ScheduledProcedureStepStartDate": "20260116", "ScheduledProcedureStepStartTime": "0905"}
PROCEDURE = Procedure(
    {
        "StudyInstanceUID": "1.2.3", "RequestedProcedureID": "RP1", "RequestedProcedureCodeSequence": [CODE],
        "RequestedProcedureDescription": "Chest", "RequestedProcedurePriority": "STAT",
        "ReasonForRequestedProcedureCodeSequence": [REASON],
    },
    frozenset(), 1, (Step("S1", S.SCHEDULED, STEP, False),),
)  # fmt: skip
ORDER = Order(
    authority="RIS", sender="RIS", placer=Number("PL1", "EHR"), filler=Number("FI1", ""), parent="",
    attributes={
        "AccessionNumber": "A1", "RequestingPhysician": "Roe^Ann", "IssueDateOfImagingServiceRequest": "20260115",
        "IssueTimeOfImagingServiceRequest": "1200", "AdmissionID": "V1",
    },
    procedures=(PROCEDURE, replace(PROCEDURE, attributes={**PROCEDURE.attributes, "StudyInstanceUID": "1.2.4"})),
    patient=PatientRow(1),
)  # fmt: skip
SETTINGS = SHIPPED.studies.settings
RELEASES: tuple[Release, ...] = ("R4", "R5")


@pytest.mark.parametrize("release", RELEASES)
def test_every_part_of_an_order_is_said(release: Release, fhir_validators: Validators) -> None:
    made, identifier = service_request(ORDER, PATIENT, SETTINGS, release)
    assert faults_of(made, release) == []
    assert {name: one for name, one in fhir_validators.findings(release, made).items() if one} == {}
    numbers = [one["value"] for one in made["identifier"]]
    assert numbers == ["PL1", "FI1", "A1", "urn:oid:1.2.3", "urn:oid:1.2.4"]
    assert identifier.endswith("|A1")
    assert (made["status"], made["intent"], made["priority"]) == ("active", "order", "stat")
    assert (made["subject"]["identifier"]["value"], made["encounter"]["identifier"]["value"]) == ("P1", "V1")
    assert (made["occurrenceDateTime"], made["authoredOn"]) == (
        "2026-01-16T09:05:00+01:00",
        "2026-01-15T12:00:00+01:00",
    )
    assert made["requester"] == {"display": "Ann Roe"}
    code = made["code"]["concept"] if release == "R5" else made["code"]
    reasons = [one["concept"] for one in made["reason"]] if release == "R5" else made["reasonCode"]
    assert (code["coding"][0]["code"], [one["coding"][0]["code"] for one in reasons]) == ("RPID16", ["R05"])


@pytest.mark.parametrize("release", RELEASES)
def test_an_order_that_says_little_is_valid_too(release: Release, fhir_validators: Validators) -> None:
    bare = Procedure({"StudyInstanceUID": "1.2.3"}, frozenset(), 1, (Step("S1", S.SCHEDULED, {}, False),))
    order = Order(
        "", "", Number("", ""), Number("", ""), "", {"AccessionNumber": "A1"}, procedures=(bare,), patient=PatientRow(1)
    )
    made, _ = service_request(order, {"PatientID": "P1"}, SETTINGS, release)
    assert faults_of(made, release) == []
    assert {name: one for name, one in fhir_validators.findings(release, made).items() if one} == {}
    assert made.keys() == {"resourceType", "identifier", "status", "intent", "category", "subject"}


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ([S.SCHEDULED], "active"),
        ([S.ARRIVED, S.HELD], "active"),
        ([S.STARTED, S.COMPLETED], "active"),
        ([S.HELD], "on-hold"),
        ([S.HELD, S.CANCELED], "on-hold"),
        ([S.COMPLETED], "completed"),
        ([S.COMPLETED, S.CANCELED], "completed"),
        ([S.CANCELED], "revoked"),
        ([S.DISCONTINUED, S.CANCELED], "revoked"),
    ],
)
def test_its_status_is_that_of_its_steps(states: list[StepState], status: str) -> None:
    assert status_of(states) == status


def test_a_wrong_status_is_found() -> None:
    made, _ = service_request(ORDER, PATIENT, SETTINGS, "R4")
    assert faults_of({**made, "status": "available"})[0].startswith("ServiceRequest.status: 'available' is not one of")


def test_it_is_found_by_what_a_study_says_of_its_order() -> None:
    """The accession number of a header and the numbers of an order are under one system."""
    from gateway.records.study import LinkedOrder
    from tests.mapping.studies.test_imaging_study import STUDY

    linked = LinkedOrder(AccessionNumber("A1"), "RIS", "PL1", "EHR", "FI1", "RIS", "HOSPITAL")
    study: dict[str, Any] = SHIPPED.studies.build(replace(STUDY, orders=(linked,)))
    made, identifier = service_request(ORDER, PATIENT, SETTINGS, "R4")
    held = [(one["system"], one["value"]) for one in made["identifier"]]
    for reference in study["basedOn"]:
        named = reference["identifier"]
        assert (named["system"], named["value"]) in held
        assert f"{named['system']}|{named['value']}" == identifier
