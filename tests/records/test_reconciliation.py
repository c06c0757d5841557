"""What archive, gateway and EHR hold differently, and what mends it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order_check import OrderStanding
from gateway.records.reconciliation import AtEhr, Difference, HeldStudy, Repair, Sent, of_archive, of_ehr
from gateway.records.work import WorkState

UID = StudyInstanceUID("1.2.3")
HELD = HeldStudy(UID, 7, True, OrderStanding.LINKED, WorkState.DONE)
RESOURCE: dict[str, Any] = {"resourceType": "ImagingStudy"}
DONE = Sent(WorkState.DONE, RESOURCE)


def shown(one: Difference | None) -> tuple[str, str] | None:
    return None if one is None else (one.kind.value, one.repair.value)


@pytest.mark.parametrize(
    ("listed", "held", "wanted"),
    [
        (7, HELD, None),
        (None, HELD, None),
        (7, None, ("missing", "read")),
        (None, None, ("missing", "read")),
        (9, HELD, ("different", "read")),
        (5, HELD, ("different", "")),
    ],
)
def test_archive_and_gateway(listed: int | None, held: HeldStudy | None, wanted: tuple[str, str] | None) -> None:
    assert shown(of_archive("pacs", UID, listed, held)) == wanted


def looked(state: WorkState | None, standing: OrderStanding = OrderStanding.LINKED) -> HeldStudy:
    return HeldStudy(UID, 7, False, standing, state)


@pytest.mark.parametrize(
    ("held", "sent", "there", "wanted"),
    [
        (HELD, DONE, AtEhr(1), None),
        (HELD, DONE, AtEhr(0), ("missing", "deliver")),
        (HELD, Sent(WorkState.DONE, {"status": "entered-in-error"}), AtEhr(0), None),
        (HELD, DONE, AtEhr(1, ("subject",)), ("different", "deliver")),
        (HELD, DONE, AtEhr(2), ("different", "deliver")),
        (HELD, DONE, AtEhr(1, ("status",), in_error=True), ("different", "")),
        (HELD, Sent(WorkState.PENDING, RESOURCE), AtEhr(0), None),
        (HELD, Sent(WorkState.LEASED, RESOURCE), AtEhr(1, ("subject",)), None),
        (HELD, Sent(WorkState.PARKED, None), AtEhr(0), ("missing", "")),
        (HELD, Sent(WorkState.PARKED, RESOURCE), AtEhr(1, ("subject",)), ("different", "")),
        (HELD, Sent(WorkState.GIVEN_UP, RESOURCE), AtEhr(1), None),
        (looked(WorkState.PENDING), None, AtEhr(0), None),
        (looked(WorkState.PARKED, OrderStanding.HELD), None, AtEhr(0), ("missing", "")),
        (looked(WorkState.PARKED), None, AtEhr(0), ("missing", "")),
        (looked(WorkState.DONE), None, AtEhr(0), ("missing", "settle")),
        (looked(None), None, AtEhr(1), ("different", "settle")),
    ],
)
def test_gateway_and_ehr(held: HeldStudy, sent: Sent | None, there: AtEhr, wanted: tuple[str, str] | None) -> None:
    assert shown(of_ehr("main", held, sent, there)) == wanted


def test_every_repair_has_a_kind_of_difference() -> None:
    assert set(Repair) == {Repair.NONE, Repair.READ, Repair.SETTLE, Repair.DELIVER, Repair.WITHDRAW}
