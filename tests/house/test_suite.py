"""What `make test` runs and what it leaves to other targets of the Makefile."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def collected(folder: Path, *arguments: str) -> set[str]:
    """Names of the files that pytest takes up in `folder`, by the project's own settings."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return set(re.findall(r"(test_\w+)\.py::", run.stdout))


def target_of(name: str) -> str:
    """What make would run for a target."""
    command = ["make", "--dry-run", "--always-make", name]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True).stdout


def test_only_make_faults_runs_the_tests_of_whole_gateways_among_faults(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in ("tests/records/test_quick.py", "tests/faults/test_long.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("def test_planted() -> None: ...\n")
    assert collected(tmp_path) == {"test_quick"}
    assert collected(tmp_path, "tests/faults") == {"test_long"}
    assert "tests/faults" in target_of("faults")
    assert "tests/faults" not in target_of("test")
