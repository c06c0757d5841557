"""A disk that can be filled: a small file system of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

MIB = 1024 * 1024
_PIECE = bytes(65_536)


@contextmanager
def small_disk(folder: Path, mebibytes: int = 12) -> Iterator[Path]:
    """A file system in memory."""
    with _mounted(folder, ["-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs"]):
        yield folder


@contextmanager
def small_ext4(folder: Path, mebibytes: int) -> Iterator[Path]:
    """A file system on a device, none of it kept for root, with a journal."""
    image = folder.with_name(f"{folder.name}.ext4")
    with image.open("wb") as file:
        file.truncate(mebibytes * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
    with _mounted(folder, ["-t", "ext4", "-o", "loop", str(image)]):
        yield folder


@contextmanager
def _mounted(folder: Path, what: Sequence[str]) -> Iterator[None]:
    folder.mkdir()
    mounted = subprocess.run(["mount", *what, str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        _no_disk(mounted.stderr.decode())
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _no_disk(reason: str) -> None:
    reason = f"no file system can be mounted, which root may: {reason}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def fill(filler: Path) -> None:
    """Write until the disk has no room."""
    with filler.open("ab", buffering=0) as file:
        for size in (len(_PIECE), 512):
            with contextlib.suppress(OSError):
                while True:
                    file.write(_PIECE[:size])
