"""Identifiers of a study that are no URI, each cause once."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.mapping.studies.remarks import Remarks, note_uids
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study import Instance, Series, Study


def findings(study: Study) -> list[tuple[str, str]]:
    remarks = Remarks()
    note_uids(study, remarks)
    return [(str(one.place), one.text) for one in remarks.findings()]


@pytest.mark.parametrize(
    ("issuer", "named"),
    [
        ({"UniversalEntityID": "2.25.1", "UniversalEntityIDType": "ISO"}, False),
        ({"UniversalEntityID": "hosp.example", "UniversalEntityIDType": "DNS"}, False),
        ({"UniversalEntityID": "hosp.example", "UniversalEntityIDType": "ISO"}, True),
        ({"UniversalEntityID": "2.25.01"}, True),
        ({"UniversalEntityID": "no address", "UniversalEntityIDType": "URI"}, True),
    ],
)
def test_issuers(issuer: dict[str, Any], named: bool) -> None:
    held = Study(StudyInstanceUID("2.25.1"), {"IssuerOfAccessionNumberSequence": [issuer]}, ())
    assert bool(findings(held)) is named


def test_many_series_and_instances_are_one_finding() -> None:
    reason = {"ReferencedRequestSequence": [{"ProcedureCodeSequence": [{"CodingSchemeUID": "RIS"}]}]}
    instances = tuple(Instance(f"2.25.1.{number}", "1.2.3", reason) for number in range(1, 501))
    series = [Series(f"2.25.{number}", {"DeviceUID": "SN"}, ()) for number in (7, 8)]
    held = Study(StudyInstanceUID("2.25.1"), {}, (*series, Series("2.25.9", {}, instances)))
    place = "ReferencedRequestSequence.ProcedureCodeSequence.CodingSchemeUID"
    assert findings(held) == [
        ("DeviceUID", "'SN' is no UID or URI; it is left out (series 2.25.7 and 1 more series)"),
        (place, "'RIS' is no UID or URI; it is left out (instance 2.25.1.1 and 499 more instances)"),
    ]
