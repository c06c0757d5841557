"""Calls from the gateway that block the event loop are errors; the few that may stand here, with the reason."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from enum import Enum
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import Final

from blockbuster import BlockBuster

import gateway

ALLOWED: Final = (
    # Before any listener is bound nobody waits for the loop.
    "gateway/mapping/__init__.py",
    "gateway/mapping/scanners.py",
    "gateway/mapping/language/files.py",
    "gateway/config/site.py",
    "gateway/config/fields.py",
    "gateway/config/yaml_file.py",
    "gateway/assembly/instance_lock.py",
    "gateway/store/engine.py",
    "gateway/wire/dimse/_pynetdicom.py",
    "gateway/simulators/manners_file.py",
    "importlib/_bootstrap_external.py",
    "<frozen importlib._bootstrap_external>",
    # Files of some hundred bytes, on a local disk: has a key or token been exchanged?
    "gateway/wire/oauth/watched_file.py",
    "gateway/wire/oauth/authorization.py",
    "gateway/wire/oauth/keys.py",
    # /proc, which no disk is asked for.
    "gateway/observe/metrics.py",
    # Log lines go to standard error.
    "logging/__init__.py",
    # A handler of a test looks at /proc.
    "tests/wire/dimse/test_malformed.py",
    # Tests that themselves call a function of the gateway which is made for threads.
    "tests/peers/dcmtk.py",
    "tests/store/test_statement.py",
    # A process of its own, which tests call in theirs.
    "gateway/wire/hl7/structure.py",
)


_GATEWAY: Final = str(Path(gateway.__file__).parent)
_CALLBACK: Final = asyncio.Handle._run.__code__
"""What the event loop calls everything by."""


def watch() -> BlockBuster:
    """Watches calls whose stack has a module of the gateway; not yet active."""
    blockbuster = BlockBuster(scanned_modules="gateway")
    for function in blockbuster.functions.values():
        function.can_block_predicate = partial(_may_block, function.can_block_predicate)
    return blockbuster


def _may_block(of_the_library: Callable[..., bool], *args: object, **options: object) -> bool:
    """Whether no module of the gateway is on the stack, or one that is allowed to block.

    The library would decide the same by comparing each frame with each allowed file: 3 ms for every read of a file.
    What called the event loop, some eighty frames of pytest, is not looked at.
    """
    if of_the_library(*args, **options):
        return True
    is_watched = False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not _CALLBACK:
        side = _side(frame.f_code.co_filename)
        if side is _Side.ALLOWED:
            return True
        is_watched = is_watched or side is _Side.GATEWAY
        frame = frame.f_back
    return not is_watched


class _Side(Enum):
    ALLOWED = "allowed"
    GATEWAY = "gateway"
    OTHER = "other"


@cache
def _side(file: str) -> _Side:
    if file.endswith(ALLOWED):
        return _Side.ALLOWED
    return _Side.GATEWAY if file.startswith(_GATEWAY) else _Side.OTHER
