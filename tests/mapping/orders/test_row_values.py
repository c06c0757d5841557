"""The value of a row: what the same field gives is worked out once."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import GatewayError, ValueTooLong
from gateway.mapping.language.rows import Codes, Row
from gateway.mapping.orders.row_values import RECURRING_CHARACTERS, CompiledRow, RowValue, value_of
from tests.mapping.samples import scope

CODED = Row(
    "procedure", "RequestedProcedureCodeSequence", "here:1", ("OBR-44.1-3", "OBR-4.1-3"), function="code_sequence"
)
LONG = "x" * RECURRING_CHARACTERS


def item(code: str, meaning: str, scheme: str = "99LOCAL") -> list[dict[str, str]]:
    return [{"CodeValue": code, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}]


def read(row: CompiledRow, *segments: str) -> RowValue:
    return value_of(row, scope(*segments), [])


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("CT^CT chest^L", item("CT", "CT chest")),
        ("CT^CT chest^99RIS", item("CT", "CT chest", "99RIS")),
        (" CT ^ CT chest", item("CT", "CT chest")),
        ("CT", item("CT", "CT")),
        ("C&T^CT chest", item("C", "CT chest")),
        ("C\\S\\T^CT chest", item("C^T", "CT chest")),
        ("CT^CT chest~MR^MR", item("CT", "CT chest")),
        (f"CT^{LONG}", item("CT", LONG[:64])),
        ("^CT chest", ""),
        ("", ""),
        ('""', None),
    ],
)
def test_each_form_gives_the_same_the_second_time(written: str, value: Any) -> None:
    row = CompiledRow.of(CODED, None)
    first, second = (read(row, f"OBR|1|||{written}") for _ in range(2))
    assert first == second
    assert first[0] == value


def test_the_same_components_are_worked_out_once_and_long_ones_are_not_kept() -> None:
    row = CompiledRow.of(CODED, None)
    first, second = (read(row, f"OBR|1|||CT^CT chest^L^{other}")[0] for other in "AB")
    assert first is second
    first, second = (read(row, f"OBR|1|||CT^{LONG}")[0] for _ in range(2))
    assert first == second
    assert first is not second


def test_a_fault_is_met_each_time() -> None:
    row = CompiledRow.of(CODED, None)
    for _ in range(2):
        faults: list[GatewayError] = []
        assert value_of(row, scope(f"OBR|1|||CT^CT chest^{'S' * 17}"), faults)[0] == ""
        assert [type(fault) for fault in faults] == [ValueTooLong]


def test_a_code_table_is_asked_for_what_is_remembered_too() -> None:
    codes = Codes("ours", {"CT": "77477000|SCT|CT"}, "keep")
    row, plain = (CompiledRow.of(CODED, given) for given in (codes, None))
    for _ in range(2):
        assert read(row, "OBR|1|||CT^CT chest^L")[0] == item("77477000", "CT", "SCT")
        assert read(plain, "OBR|1|||CT^CT chest^L")[0] == item("CT", "CT chest")
