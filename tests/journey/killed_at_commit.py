"""Kills the process in which it runs at a commit of the database: what `test_ris_story` prepares its gateway with."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy.engine.default import DefaultDialect


@dataclass(frozen=True)
class Killing:
    """Kills at commit number `at` (from 1; 0: at none) after the file `armed` has come to be, before or after it.

    How many commits there were stands in the file `armed` with the suffix `.count`.
    """

    armed: Path
    at: int = 0
    before: bool = True

    def __call__(self) -> None:
        numbers = count(1)
        commit: Callable[[DefaultDialect, Any], None] = DefaultDialect.do_commit

        def do_commit(dialect: DefaultDialect, connection: Any) -> None:
            number = next(numbers) if self.armed.exists() else 0
            if number and number == self.at and self.before:
                os.kill(os.getpid(), signal.SIGKILL)
            commit(dialect, connection)
            if number:
                self.armed.with_suffix(".count").write_text(str(number), encoding="ascii")
            if number and number == self.at:
                os.kill(os.getpid(), signal.SIGKILL)

        DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]
