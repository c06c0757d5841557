"""Which destination gets an instance, and what its answer means."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.records.arrival import InstanceArrival
from gateway.records.identifiers import SeriesInstanceUID, SOPInstanceUID, StudyInstanceUID
from gateway.records.image_forwarding import STANDING_OF, ForwardingRule, StoreVerdict, store_verdict, warning_of
from gateway.records.work import WorkState

V = StoreVerdict
CT = "1.2.840.10008.5.1.4.1.1.2"


def arrival(**series: Any) -> InstanceArrival:
    return InstanceArrival(
        StudyInstanceUID("1.2.3"), {}, SeriesInstanceUID("1.2.3.1"), series, SOPInstanceUID("1.2.3.1.1"), CT, {}, "1.2",
        b"", b"", "CT1", 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ({}, True),
        ({"calling_aes": ["CT1", "CT2"]}, True),
        ({"calling_aes": ["CT2"]}, False),
        ({"modalities": ["CT"]}, True),
        ({"modalities": ["MR"]}, False),
        ({"sop_classes": [CT]}, True),
        ({"sop_classes": ["1.2"]}, False),
        ({"calling_aes": ["CT1"], "modalities": ["MR"]}, False),
    ],
)
def test_a_destination_gets_what_meets_each_list(rule: dict[str, list[str]], wanted: bool) -> None:
    assert ForwardingRule("pacs", **rule).takes(arrival(Modality="CT")) is wanted


def test_an_instance_without_a_modality_is_of_none() -> None:
    assert not ForwardingRule("pacs", modalities=["CT"]).takes(arrival())
    assert ForwardingRule("pacs").takes(arrival())


@pytest.mark.parametrize(
    ("status", "wanted", "warning"),
    [
        (0x0000, V.DONE, ""),
        (0x0111, V.DONE, "the destination had it already"),
        (0xB000, V.DONE, "coercion of data elements"),
        (0xB006, V.DONE, "elements discarded"),
        (0xB007, V.DONE, "data set does not match SOP Class"),
        (0xBFFF, V.DONE, "a warning"),
        (0xA700, V.RETRY, ""),
        (0xA7FF, V.RETRY, ""),
        (0x0213, V.RETRY, ""),
        (0x0110, V.DOUBT, ""),
        *((one, V.PARK, "") for one in (0x0117, 0x0122, 0x0124, 0x0210, 0xA800, 0xA900, 0xC000, 0xFF00)),
    ],
)
def test_each_status(status: int, wanted: StoreVerdict, warning: str) -> None:
    assert (store_verdict(status), warning_of(status)) == (wanted, warning)


def test_every_state_of_the_newest_work_is_a_standing() -> None:
    assert set(WorkState) - set(STANDING_OF) == {WorkState.SUPERSEDED}
