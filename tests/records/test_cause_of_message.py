"""The cause of a message that was not applied: its fault without what differs from message to message."""

from __future__ import annotations

import pytest

from gateway.records.cause import cause_of_message, cause_of_refusal


@pytest.mark.parametrize(
    ("place", "text", "expected"),
    [
        ("PID-3.1", "PatientID has no value; it is read from PID-3.1 or PID-2.1",
         "PID-3.1: PatientID has no value; it is read from PID-3.1 or PID-2.1"),
        ("OBR-24 of ORC[7]", "'XR4' is not in the table 'modality'", "OBR-24 of ORC[n]: '…' is not in the table '…'"),
        ("", "byte 0xFF at offset 417 is not ascii text", "byte 0xFF at offset N is not ascii text"),
        ("ZDS-1", "the study 1.2.840.10008.5.1 is of order 77", "ZDS-1: the study UID is of order N"),
    ],
)  # fmt: skip
def test_what_differs_from_message_to_message_is_left_out(place: str, text: str, expected: str) -> None:
    assert cause_of_message({"place": place, "text": text}).text == expected


def test_other_fields_are_other_causes() -> None:
    keys = {cause_of_message({"place": "PID-3", "text": text}).key for text in ("no PID-3", "no PID-2", "no PID-2")}
    assert len(keys) == 2
    assert cause_of_refusal("ris 10.0.0.1", "cut off").key != cause_of_refusal("ris 10.0.0.2", "cut off").key
