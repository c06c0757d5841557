from __future__ import annotations

import pytest

from gateway.operations.state.part import Level
from gateway.operations.state.spool import SpoolSeen, spool_part
from gateway.spool import Use

GB = 10**9


@pytest.mark.parametrize(
    ("used", "quota", "disk_free", "missing", "level", "detail"),
    [
        (10 * GB, 100 * GB, 500 * GB, 0, Level.GOOD, "has room"),
        (10 * GB, None, 500 * GB, 0, Level.GOOD, "has room"),
        (97 * GB, 100 * GB, 500 * GB, 0, Level.WARN, "has 3% of its room left"),
        (10 * GB, 100 * GB, 7 * GB, 0, Level.GOOD, "has room"),
        (100 * GB, 100 * GB, 500 * GB, 0, Level.BAD, "is full"),
        (10 * GB, 100 * GB, 5 * GB, 0, Level.BAD, "is full"),
        (10 * GB, 100 * GB, 500 * GB, 2, Level.BAD, "2 instances have lost their file"),
    ],
)
def test_room_and_losses_are_judged(
    used: int, quota: int | None, disk_free: int, missing: int, level: Level, detail: str
) -> None:
    seen = SpoolSeen(Use(7, used, quota, disk_free, 5 * GB), "/spool")
    part = spool_part(seen, missing)
    assert (part.level, part.detail.startswith(detail)) == (level, True), part.detail


def test_a_look_that_is_under_way_is_shown() -> None:
    seen = SpoolSeen(Use(7, GB, None, 500 * GB, 0), "/spool", looking="joins files and rows")
    assert spool_part(seen, 0).detail == "joins files and rows"


def test_a_disk_that_does_not_answer_is_bad() -> None:
    assert spool_part(SpoolSeen(None, "/spool"), 0).level is Level.BAD
