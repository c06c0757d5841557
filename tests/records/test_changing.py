"""A value with fields changed is what `dataclasses.replace` makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.records.changing import with_changes
from gateway.records.imaging_order import NO_NUMBER, Order
from gateway.records.order import Number
from gateway.records.row_ids import OrderRow

ORDER = Order("", "", Number("P1", "RIS"), NO_NUMBER, "", event_at=5, row=OrderRow(7))


def test_what_is_not_changed_stays() -> None:
    after = with_changes(ORDER, event_at=6, sender="RIS")
    assert after == replace(ORDER, event_at=6, sender="RIS")
    assert (after.row, after.placer, ORDER.event_at) == (7, Number("P1", "RIS"), 5)


def test_a_field_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError):
        with_changes(ORDER, nothing=1)
