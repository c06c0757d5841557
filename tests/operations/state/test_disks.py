from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.operations.state.disks import MIB, disk_parts
from gateway.operations.state.part import Level
from gateway.operations.state.sources import Folder


@pytest.mark.parametrize(
    ("free", "total", "level"),
    [
        (50 * 1024, 100 * 1024, Level.GOOD), (1023, 10 * 1024, Level.WARN), (4 * 1024, 100 * 1024, Level.WARN),
        (99, 10 * 1024, Level.BAD),
    ],
)  # fmt: skip
def test_room_is_judged_by_bytes_and_share(
    monkeypatch: pytest.MonkeyPatch, free: int, total: int, level: Level
) -> None:
    usage = shutil._ntuple_diskusage(total * MIB, (total - free) * MIB, free * MIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)
    [part] = disk_parts([Folder("database", Path("/data"))])
    assert part.level is level, part.detail
    assert [fact.value for fact in part.facts] == [free * MIB, "/data"]
