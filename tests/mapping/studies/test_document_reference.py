"""Studies as DocumentReferences, before the validators of others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.made_studies import study_of
from gateway import mapping
from gateway.records.study import Release, Shape
from gateway.wire.fhir.validation import faults_of
from tests.mapping.maximal import dataset
from tests.mapping.samples import SITE
from tests.mapping.studies.test_fhir_releases import SETTINGS, STUDIES
from tests.peers.fhir_validators import Validators

VIEWER = "https://viewer.test/open?study={study_uid}&from=ehr"
MAPPINGS = mapping.load(SITE, replace(SETTINGS, viewer_url=VIEWER))
RELEASES: tuple[Release, ...] = ("R4", "R5")


def built(uid: str, files: list[Any], release: Release) -> dict[str, Any]:
    return MAPPINGS.studies.build(study_of(MAPPINGS, uid, files), shape=Shape(release, "DocumentReference"))


@pytest.mark.parametrize("release", RELEASES)
def test_no_validator_finds_anything(release: Release, fhir_validators: Validators) -> None:
    for uid, files in {**STUDIES, "1.2.3": [dataset()]}.items():
        document = built(uid, files, release)
        assert faults_of(document, release) == [], uid
        found = fhir_validators.findings(release, document)
        assert {name: one for name, one in found.items() if one} == {}, uid


@pytest.mark.parametrize("release", RELEASES)
def test_it_says_whose_which_and_where(release: Release) -> None:
    document = built("1.2.3", [dataset()], release)
    study = MAPPINGS.studies.build(study_of(MAPPINGS, "1.2.3", [dataset()]), shape=Shape("R4"))
    assert (document["status"], document["description"]) == ("current", "CT chest")
    assert (document["subject"], document["identifier"]) == (study["subject"], study["identifier"])
    url = "https://viewer.test/open?study=1.2.3&from=ehr"
    assert document["content"] == [{"attachment": {"contentType": "text/html", "url": url, "title": "CT CT chest"}}]
    orders, period = study["basedOn"], {"start": "2026-01-16T09:05:07+02:00"}
    if release == "R4":
        assert document["masterIdentifier"] == {"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}
        assert document["context"] == {"encounter": [study["encounter"]], "period": period, "related": orders}
    else:
        assert (document["basedOn"], document["period"], document["context"]) == (orders, period, [study["encounter"]])
        assert [one["coding"][0]["code"] for one in document["modality"]] == ["CT"]
        assert [one["concept"]["coding"][0]["display"] for one in document["bodySite"]] == ["Chest"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"status": "available"}, "DocumentReference.status: 'available' is not one of"),
        ({"identifier": []}, "DocumentReference.identifier: has 0 Study Instance UIDs"),
        ({"content": []}, "DocumentReference.content"),
        ({"description": ""}, "DocumentReference.description: is empty"),
        ({"colour": "red"}, "DocumentReference.colour"),
    ],
)
def test_what_is_wrong_is_found(change: dict[str, Any], fault: str) -> None:
    faults = faults_of(built("1.2.3", [dataset()], "R4") | change)
    assert any(one.startswith(fault) for one in faults), faults
