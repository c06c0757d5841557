"""What the answers of an MPPS SCP call for."""

from __future__ import annotations

import pytest

from gateway.records.step_request import Operation, RequestVerdict, StepRequest, verdict

V = RequestVerdict


@pytest.mark.parametrize(
    ("operation", "status", "error_id", "wanted"),
    [
        ("N-CREATE", 0x0000, None, V.DONE),
        ("N-CREATE", 0x0116, None, V.DONE),
        ("N-SET", 0xB000, None, V.DONE),
        ("N-CREATE", 0x0111, None, V.ASK),
        ("N-SET", 0x0111, None, V.PARK),
        ("N-SET", 0x0112, None, V.PARK),
        ("N-SET", 0x0110, 0xA710, V.ASK),
        ("N-SET", 0xA710, None, V.ASK),
        ("N-CREATE", 0x0110, 0xA710, V.DOUBT),
        ("N-SET", 0x0110, None, V.DOUBT),
        ("N-SET", 0x0213, None, V.RETRY),
        ("N-CREATE", 0xA700, None, V.RETRY),
        *(("N-CREATE", one, None, V.PARK) for one in (0x0105, 0x0106, 0x0117, 0x0120, 0x0121, 0x0122, 0x0124, 0x0211)),
    ],
)
def test_each_status(operation: Operation, status: int, error_id: int | None, wanted: RequestVerdict) -> None:
    assert verdict(operation, status, error_id) is wanted


def test_a_request_is_read_as_it_was_written() -> None:
    request = StepRequest("N-SET", "1.2.3", {"PerformedSeriesSequence": [{"SeriesInstanceUID": "1.2"}]})
    assert StepRequest.of(request.as_payload()) == request
