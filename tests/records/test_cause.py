"""Errors that differ in particulars only have one cause."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.records.cause import cause_of
from gateway.records.work import WorkKind, delivery_to

MAIN = delivery_to("a")
NUMBERS = st.integers(1, 10**12)


@given(NUMBERS, NUMBERS, st.uuids())
def test_what_differs_from_study_to_study_is_no_other_cause(one: int, other: int, unique: uuid.UUID) -> None:
    def said(number: int, token: str) -> dict[str, Any]:
        text = (
            f"the server holds 2 resources with the identifier urn:dicom:uid|urn:oid:1.2.840.{number}.7: "
            f"{token}, {number}; ImagingStudy.series[{number}].number: {number} is no 'x{number}'"
        )
        return {"error": text, "request_id": token}

    first, second = cause_of(MAIN, said(one, str(unique))), cause_of(MAIN, said(other, str(uuid.UUID(int=1))))
    assert first == second
    assert str(one) not in first.text.replace("urn:oid", "") or one < 10


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("ehr:b", {"error": "HTTP 422: no such patient"}),
        ("ehr:a", {"error": "HTTP 403: no such patient"}),
        ("ehr:a", {"error": "HTTP 422: no such order"}),
        ("ehr:a", {"error": "HTTP 422: no such patient", "issues": [{"code": "not-found"}]}),
        ("ehr:a", {}),
    ],
)
def test_another_ehr_status_text_or_issue_is_another_cause(kind: str, outcome: dict[str, Any]) -> None:
    assert cause_of(WorkKind.of(kind), outcome).key != cause_of(MAIN, {"error": "HTTP 422: no such patient"}).key


def test_the_text_is_still_for_people() -> None:
    cause = cause_of(MAIN, {"error": "HTTP 422: Patient 4711 is not known, see 1.2.840.10008.1"})
    assert cause.text == "HTTP 422: Patient N is not known, see UID"
    assert len(cause.key) == 8
