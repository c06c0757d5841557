"""What a server adds or arranges anew is no difference."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.wire.fhir.sameness import differing
from gateway.wire.fhir.standing import EXTENSION

OURS: dict[str, Any] = {
    "resourceType": "ImagingStudy", "status": "available", "started": "2026-01-05T09:00:00.100+01:00",
    "identifier": [{"system": "a", "value": "1"}, {"system": "b", "value": "2"}],
    "subject": {"type": "Patient", "identifier": {"system": "p", "value": "4711"}},
    "series": [{"uid": "1.1", "instance": [{"uid": "1.1.1"}, {"uid": "1.1.2"}]}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "elements"),
    [
        ({"id": "7", "meta": {"versionId": "3"}, "text": {"status": "generated"}}, []),
        ({"identifier": OURS["identifier"][::-1]}, []),
        ({"started": "2026-01-05T09:00:00.1+01:00"}, []),
        ({"subject": {**OURS["subject"], "reference": "Patient/7"}}, []),
        ({"extension": [{"url": EXTENSION, "valueString": "12"}]}, []),
        ({"series": [{"uid": "1.1", "instance": [{"uid": "1.1.2"}, {"uid": "1.1.1"}]}]}, []),
        ({"series": [{"uid": "1.1", "instance": [{"uid": "1.1.1"}]}]}, ["series"]),
        ({"status": "entered-in-error", "note": [{"text": "wrong"}]}, ["note", "status"]),
        ({"subject": {"reference": "Patient/7"}}, ["subject"]),
    ],
)
def test_elements_that_differ(changes: dict[str, Any], elements: list[str]) -> None:
    assert differing(OURS, {**OURS, **changes}) == elements


def test_an_element_that_is_gone_differs() -> None:
    assert differing(OURS, {key: value for key, value in OURS.items() if key != "started"}) == ["started"]
