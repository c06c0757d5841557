"""The data set of a report, in every transfer syntax of its presentation context."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from gateway.records.commitment import CommitmentReport, FailureReason, Reference
from gateway.wire.dimse.commitment import encoded
from gateway.wire.dimse.encoding import encoded_dataset
from gateway.wire.dimse.inflating import inflated
from gateway.wire.dimse.negotiation import PLAIN_SYNTAXES
from tests.peers.pynetdicom_commitment import wanted

CT = "1.2.840.10008.5.1.4.1.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"


@pytest.mark.parametrize("syntax", PLAIN_SYNTAXES)
@pytest.mark.parametrize(("committed", "failed"), [((), ("1.2.3",)), (("1.2.34", "1.2.5"), ()), (("1.2",), ("1.2.3",))])
def test_a_report_is_encoded_as_pydicom_does(committed: tuple[str, ...], failed: tuple[str, ...], syntax: str) -> None:
    stated = wanted([(CT, uid) for uid in committed], "1.2.3.4")
    report = CommitmentReport(
        "1.2.3.4",
        tuple(Reference(CT, uid) for uid in committed),
        tuple((Reference(CT, uid), FailureReason.NO_SUCH_INSTANCE) for uid in failed),
    )
    if not committed:
        del stated.ReferencedSOPSequence
    if failed:
        stated.FailedSOPSequence = [reason_of(uid) for uid in failed]
    data = encoded(report, syntax)
    if syntax == DEFLATED:
        assert len(data) % 2 == 0
        data, syntax = inflated(data, 10_000), "1.2.840.10008.1.2.1"
    assert data == encoded_dataset(stated, syntax)


def reason_of(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, uid
    item.FailureReason = 0x0112
    return item
