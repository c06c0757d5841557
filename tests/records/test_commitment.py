"""Requests for storage commitment, and what is reported of them."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import InvalidValue, Rejected, RequiredEmpty, RequiredMissing
from gateway.records.commitment import CommitmentReport, FailureReason, Holding, Reference, asked, failures_of

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def stated(*uids: str, **values: Any) -> dict[str, Any]:
    items = [{"ReferencedSOPClassUID": CT, "ReferencedSOPInstanceUID": uid} for uid in uids]
    return {"TransactionUID": "1.2.3", "ReferencedSOPSequence": items, **values}


def test_each_instance_counts_once_and_the_order_does_not() -> None:
    request = asked(stated("1.1", "1.2", "1.1"))
    assert request.references == (Reference(CT, "1.1"), Reference(CT, "1.2"))
    assert request.digest == asked(stated("1.2", "1.1")).digest
    assert request.digest != asked(stated("1.1")).digest


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        (stated("1.1", TransactionUID=""), RequiredMissing),
        (stated("1.1", TransactionUID="1." * 33), InvalidValue),
        (stated("1.1", TransactionUID="1.ÿ"), InvalidValue),
        (stated("1.ÿ"), InvalidValue),
        (stated(), RequiredEmpty),
        (stated("1.1", ""), InvalidValue),
        (stated(ReferencedSOPSequence="odd"), RequiredEmpty),
        ({}, RequiredMissing),
    ],
)
def test_what_cannot_be_answered(attributes: dict[str, Any], error: type[Rejected]) -> None:
    with pytest.raises(error):
        asked(attributes)


def test_why_no_commitment_is_given() -> None:
    held = {
        "1": [Holding(CT, is_safe=True)],
        "2": [Holding(MR, is_safe=True)],
        "3": [Holding(CT, is_safe=False)],
        "5": [Holding(CT, is_safe=False), Holding(CT, is_safe=True)],
    }
    failures = failures_of([Reference(CT, str(one)) for one in range(1, 6)], held)
    assert {one.sop_uid: reason for one, reason in failures.items()} == {
        "2": FailureReason.CLASS_INSTANCE_CONFLICT,
        "3": FailureReason.PROCESSING_FAILURE,
        "4": FailureReason.NO_SUCH_INSTANCE,
    }


def test_a_report_has_the_sequences_that_have_items() -> None:
    one, other = Reference(CT, "1"), Reference(CT, "2")
    whole = CommitmentReport("1.2.3", (one,))
    assert whole.event_type == 1
    failed = CommitmentReport("1.2.3", (), ((other, FailureReason.NO_SUCH_INSTANCE),))
    assert failed.event_type == 2
