"""Commands that an operator types in a night."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

SECONDS: Final = 120.0


def printed(command: Sequence[str | Path]) -> str:
    """Run a command and return what it printed, on one line; a failure says so."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
    text = "; ".join(f"{done.stdout}\n{done.stderr}".split("\n")).strip("; ")
    return f"exit code {done.returncode}: {text}" if done.returncode else text
