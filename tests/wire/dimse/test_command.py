"""Command sets: what is kept in memory of them."""

from __future__ import annotations

import tracemalloc

from gateway.wire.dimse import command
from gateway.wire.dimse.command import Command


def test_long_texts_in_place_of_a_sop_class_are_not_kept() -> None:
    long = "9" * 50_000
    tracemalloc.start()
    try:
        for number in range(300):
            request = Command(command.C_ECHO_RQ, number, f"{number}.{long}", "", has_data_set=False)
            assert long.encode() in command.response(request, 0)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
