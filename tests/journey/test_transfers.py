"""What the audit trail has of a transfer of which an instance could not be kept."""

from __future__ import annotations

from dataclasses import replace

from gateway.journey.study_arrival.incoming import Sender
from gateway.journey.study_arrival.transfers import Transfers
from gateway.records.audit import AuditEvent, AuditKind
from tests.store.test_study_arrivals import FIRST

NEXT = replace(FIRST, received_at=FIRST.received_at + 1)
SENDER = Sender("CT1", "127.0.0.1", transfer=object())


def test_the_first_instance_that_is_kept_has_the_beginning() -> None:
    noted: list[AuditEvent] = []
    transfers = Transfers(noted.append)
    assert transfers.began(SENDER, FIRST) is not None
    transfers.not_kept(SENDER, FIRST)
    begun = transfers.began(SENDER, NEXT)
    assert begun is not None
    assert (begun.kind, begun.moment) == (AuditKind.BEGINNING_TRANSFER, NEXT.received_at)
    transfers.count(SENDER, NEXT, is_new=True)
    assert transfers.began(SENDER, NEXT) is None
    transfers.ended(SENDER, NEXT.received_at)
    assert [one.note for one in noted] == ["1 instances, 0 of them were here already"]


def test_a_study_of_which_nothing_was_kept_was_not_transferred() -> None:
    noted: list[AuditEvent] = []
    transfers = Transfers(noted.append)
    transfers.began(SENDER, FIRST)
    transfers.not_kept(SENDER, FIRST)
    transfers.ended(SENDER, NEXT.received_at)
    assert noted == []
