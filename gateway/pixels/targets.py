"""A file that is there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def part_of(target: Path) -> Path:
    """The name of `target` while it is being written."""
    return target.with_name(f"{target.name}.part")


@contextmanager
def whole_or_none(target: Path) -> Iterator[BinaryIO]:
    """A file beside `target`, readable by its owner alone, that gets the name when everything is in it."""
    beside = part_of(target)
    try:
        with os.fdopen(os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600), "w+b") as file:
            yield file
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
