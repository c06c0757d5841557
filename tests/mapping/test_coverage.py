"""Rows that gave nothing, and fields of a message that nothing reads."""

from __future__ import annotations

import pytest

from gateway.assembly.mappings import load_mappings
from gateway.assembly.readers import make_reader
from gateway.config.tree import Config
from gateway.mapping import ORDERS
from gateway.mapping.coverage import is_read
from gateway.operations.explain import Explanation, explain_message, render
from tests.journey.messages import adt, orm

MAPPINGS = load_mappings(Config())


def explained(raw: bytes) -> Explanation:
    return explain_message(MAPPINGS, make_reader(Config(), MAPPINGS), "hl7", raw)


def test_fields_that_no_row_reads_are_named_with_their_value() -> None:
    raw = orm().replace(b"\rORC|", b"\rZPI|1|odd\rORC|", 1).rstrip(b"\r") + b"\rNTE|1||seen\rOBX|1|ST|X||9\r"
    explanation = explained(raw)
    unread = {str(field.place): field.value for field in explanation.unread}
    assert unread["ZPI-1"] == "1"
    assert unread["ZPI-2"] == "odd"
    assert not {name for name in unread if name.startswith(("MSH", "OBX", "NTE", "PID-3", "PID-1", "ORC-1"))}
    assert "  no row reads ZPI-2: odd" in render(explanation)


def test_rows_without_a_value_are_named() -> None:
    explanation = explained(orm())
    silent = {row.target for row in explanation.silent}
    assert "PatientAddress" in silent
    assert not silent & {trace.target for trace in explanation.traces}
    rows = {row.target for level in MAPPINGS.files[ORDERS].rows.values() for row in level}
    assert silent | {trace.target for trace in explanation.traces} == rows


def test_a_message_about_a_patient_has_no_rows_of_orders() -> None:
    explanation = explained(adt("A08"))
    assert {row.level for row in explanation.silent} == {"patient", "visit"}


def test_a_message_that_cannot_be_read_has_neither() -> None:
    explanation = explained(b"PID|1\r")
    assert not explanation.silent
    assert not explanation.unread
    assert explanation.error


@pytest.mark.parametrize(
    ("segment", "field", "expected"),
    [("OBX", 7, True), ("PID", 1, True), ("PID", 3, True), ("MSH", 21, True), ("PID", 99, False), ("ZZZ", 1, False)],
)
def test_what_is_read(segment: str, field: int, expected: bool) -> None:
    read = {("OBX", 0), ("PID", 3)}
    assert is_read(segment, field, read) is expected
