"""ORC-1 with ORC-5: our table, and what a site lays over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.mapping.orders.order_control import event_of
from gateway.records.step import ORDER_EVENTS
from gateway.records.step import StepEvent as E
from tests.mapping.samples import MSH, PID, SHIPPED, ZDS, only, order, orders, request

CONTROLS = SHIPPED.orders.controls


@pytest.mark.parametrize(
    ("control", "status", "event"),
    [
        ("NW", "", E.NEW), ("NW", "SC", E.NEW), ("XO", "", E.CHANGE), ("XO", "CM", E.COMPLETE), ("XX", "", E.CHANGE),
        ("CA", "", E.CANCEL), ("OC", "", E.CANCEL), ("DC", "", E.DISCONTINUE), ("OD", "", E.DISCONTINUE),
        ("HD", "", E.HOLD), ("OH", "", E.HOLD), ("RL", "", E.RELEASE), ("OE", "", E.RELEASE),
        ("RP", "", E.CANCEL), ("RU", "", E.CANCEL), ("RQ", "", E.CANCEL), ("RO", "", E.NEW), ("CH", "", E.NEW),
        ("PA", "", E.PARENT), ("SN", "", E.NEW), ("NA", "", E.STATUS), ("OR", "", E.RELEASE), ("OK", "", E.RESPONSE),
        ("SC", "CM", E.COMPLETE), ("SC", "CA", E.CANCEL), ("SC", "IP", E.STATUS),
        ("SC", "", E.STATUS), ("ZZ", "", None), ("", "", None),
    ],
)  # fmt: skip
def test_order_control_codes(control: str, status: str, event: E | None) -> None:
    """HL7 2.5.1 ch. 4, tables 0119 and 0038."""
    assert event_of(CONTROLS, control, status) is event


def test_every_event_of_an_order_has_a_code_but_those_for_sites() -> None:
    assert set(CONTROLS.values()) == set(ORDER_EVENTS) - {E.ARRIVE, E.ENSURE}


@pytest.mark.parametrize(
    ("line", "control", "status", "event"),
    [
        ("SC,ensure", "SC", "IP", E.ENSURE),
        ("sc/arrived,arrive", "SC", "ARRIVED", E.ARRIVE),
        ("ZN,new", "ZN", "", E.NEW),
        ("XX,", "XX", "", None),
    ],
)
def test_a_site_adds_codes(tmp_path: Path, line: str, control: str, status: str, event: E | None) -> None:
    overlay = orders(tmp_path, "", order_control=f"code,value\n{line}\n")
    orc = order(control).replace("||SC||", f"||{status}||")
    assert only(MSH, PID, orc, request("S1"), ZDS, overlay=overlay).event is event


def test_a_word_that_is_no_event_is_named(tmp_path: Path) -> None:
    overlay = orders(tmp_path, "", order_control="code,value\nSC,schedule\nZN,\n")
    with pytest.raises(ConfigError) as refused:
        only(MSH, PID, order(), request("S1"), ZDS, overlay=overlay)
    [fault] = refused.value.faults
    assert "tables/order_control.csv: SC: 'schedule' is no event of an order; known: new, change, ensure" in fault
