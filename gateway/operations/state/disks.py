"""Room on the disks that the gateway writes to."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from typing import Final

from gateway.operations.state.part import Fact, Form, Kind, Level, Part
from gateway.operations.state.sources import Folder

MIB: Final = 1024 * 1024
LITTLE_BYTES: Final = 1024 * MIB
LITTLE_SHARE: Final = 0.05
NONE_BYTES: Final = 100 * MIB


def disk_parts(folders: Iterable[Folder]) -> Iterator[Part]:
    """A part for each folder. Asks the system, which may take its time: run it in a thread."""
    for folder in folders:
        try:
            usage = shutil.disk_usage(folder.path)
        except OSError as error:
            why = f"{folder.path} cannot be looked at ({error.strerror})"
            yield Part(Kind.DISK, folder.name, Level.BAD, why)
            continue
        level, detail = _judged(usage.free, usage.total)
        facts = (Fact("free", usage.free, Form.BYTES), Fact("folder", str(folder.path)))
        yield Part(Kind.DISK, folder.name, level, detail, facts)


def _judged(free: int, total: int) -> tuple[Level, str]:
    if free < NONE_BYTES:
        return Level.BAD, "the disk is full"
    if free < LITTLE_BYTES or free < LITTLE_SHARE * total:
        return Level.WARN, f"the disk has {free / total:.0%} of its room left"
    return Level.GOOD, "has room"
