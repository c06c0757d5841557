"""How full the spool is, what was lost of it, and how far the look through it is after a start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.errors import Unavailable
from gateway.journey.study_arrival.spool_keeping import SpoolKeeping
from gateway.operations.state.part import Fact, Form, Kind, Level, Part
from gateway.spool import Use

LITTLE_BYTES: Final = 5 * 10**9
LITTLE_SHARE: Final = 0.1
"""Of what the spool may take in all."""


@dataclass(frozen=True, slots=True)
class SpoolSeen:
    """What the process sees of it."""

    use: Use | None
    """None: its disk does not answer."""
    folder: str
    looking: str = ""
    """How far the look through it is; empty: it is done."""
    removed: int = 0
    """Files that no instance had, by the last look."""


def seen(keeping: SpoolKeeping) -> SpoolSeen:
    """Asks the disk, which may take its time: run it in a thread."""
    try:
        use = keeping.spool.use()
    except Unavailable:
        use = None
    look = keeping.looking
    looking = "" if look.is_done else f"joins files and rows: {look.rows:,} rows and {look.files:,} files so far"
    return SpoolSeen(use, str(keeping.spool.folder), looking, look.removed)


def spool_part(one: SpoolSeen, missing: int) -> Part:
    """`missing`: instances that have lost their file."""
    use = one.use
    if use is None:
        return Part(Kind.SPOOL, "", Level.BAD, f"{one.folder} does not answer: instances are refused")
    facts = [
        Fact("files", use.files, Form.COUNT), Fact("used", use.bytes, Form.BYTES),
        Fact("room", use.room_bytes, Form.BYTES), Fact("instances without their file", missing, Form.COUNT),
        Fact("files without an instance removed", one.removed, Form.COUNT), Fact("folder", one.folder),
    ]  # fmt: skip
    level, detail = _judged(use, missing)
    return Part(Kind.SPOOL, "", level, one.looking or detail if level is Level.GOOD else detail, facts)


def _judged(use: Use, missing: int) -> tuple[Level, str]:
    if not use.room_bytes:
        return Level.BAD, "is full: instances are refused until files leave it, or it gets more room"
    if missing:
        return Level.BAD, f"{missing:,} instances have lost their file: send them again"
    if use.room_bytes < LITTLE_BYTES and use.room_bytes < LITTLE_SHARE * (use.bytes + use.room_bytes):
        return Level.WARN, f"has {use.room_bytes / (use.bytes + use.room_bytes):.0%} of its room left"
    return Level.GOOD, "has room"
