"""libfaketime: a clock of its own for a program that is started with it, which a test moves while the program runs."""

from __future__ import annotations

from pathlib import Path

from tests.peers.process import DEBIAN, found, missing


class MovedClock:
    """The wall clock of the programs that are started with `environment`; it goes with the system's until it is moved.

    The monotonic clock is never moved.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "faketime"
        self.move(0)

    @property
    def environment(self) -> dict[str, str]:
        """For a program that is started by `exec`: a forked process keeps the clock of the process before it.

        The program looks once a second where its clock is: to look each time would cost it more than its work.
        """
        return {
            "LD_PRELOAD": str(_library()), "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1", "NO_FAKE_STAT": "1",
        }  # fmt: skip

    def move(self, seconds: float) -> bool:
        """Let the clock be `seconds` ahead of the system's, behind it if negative; False: it is so already."""
        return self._write(f"{seconds:+f}")

    def stop(self, moment: str) -> bool:
        """Let the clock stand at `moment`, local time: `2026-03-29 02:10:00`."""
        return self._write(moment)

    def _write(self, text: str) -> bool:
        if self._file.exists() and self._file.read_text(encoding="utf-8") == f"{text}\n":
            return False
        new = self._file.with_suffix(".new")
        new.write_text(text + "\n", encoding="utf-8")
        new.replace(self._file)  # the program must never read half a file
        return True


def _library() -> Path:
    program = found("faketime", DEBIAN)
    libraries = sorted(program.parent.parent.glob("lib/*/faketime/libfaketimeMT.so.1"))
    return libraries[0] if libraries else missing("libfaketime", DEBIAN)
