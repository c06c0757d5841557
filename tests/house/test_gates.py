"""The gates of the house hold, and each of them bites: a fault is planted for each and must be seen."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from blockbuster import BlockingError

import gateway
from tests.house import rules

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "gateway"
DOCUMENTED_SHARE = 0.8
"""Of the public functions and methods."""


def test_what_is_long_gives_its_reason() -> None:
    assert rules.without_reason(PACKAGE) == []


def test_what_is_long_without_a_reason_is_named(tmp_path: Path) -> None:
    body = "\n".join(f"    number = {number}" for number in range(rules.LONGEST_FUNCTION + 1))
    function = f"def planted() -> None:\n{body}\n"
    modules = {
        "function.py": function, "function_with_reason.py": f"# Long: one table\n{function}",
        "file.py": "NUMBER = 1\n" * (rules.LONGEST_FILE + 1), "short.py": "NUMBER = 1\n",
    }  # fmt: skip
    for name, text in modules.items():
        (tmp_path / name).write_text(text)
    assert rules.without_reason(tmp_path) == ["file.py", "function.py"]


def test_public_functions_have_docstrings_that_add_to_their_names() -> None:
    documented = dict(rules.public_functions(PACKAGE))
    share = sum(docstring is not None for docstring in documented.values()) / len(documented)
    assert share >= DOCUMENTED_SHARE, sorted(name for name, docstring in documented.items() if docstring is None)
    repeating = [name for name, text in documented.items() if text and rules.repeats_the_signature(name, text)]
    assert repeating == []


def test_a_docstring_that_repeats_its_name_is_named() -> None:
    assert rules.repeats_the_signature("store/planted.py:read_message", "Read the message.")
    assert not rules.repeats_the_signature("store/planted.py:read_message", "The row and the bytes, None if deleted.")


def test_arrows_against_the_layers_and_a_module_without_a_layer_are_named(tmp_path: Path) -> None:
    """And a station that imports another."""
    shutil.copytree(PACKAGE, tmp_path / "gateway", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "gateway/records/planted.py").write_text("from gateway import store\n\n__all__ = ['store']\n")
    (tmp_path / "gateway/planted.py").write_text("")
    station = tmp_path / "gateway/journey/ehr_delivery/planted.py"
    station.write_text("import gateway.journey.study_settling.station\n")
    command = (Path(sys.executable).with_name("lint-imports"), "--no-cache")
    lint = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert lint.returncode == 1
    assert "gateway.records.planted -> gateway.store" in lint.stdout
    assert re.search(r"^.*\bgateway\.planted\b", lint.stdout, re.MULTILINE)
    assert "gateway.journey.ehr_delivery.planted -> gateway.journey.study_settling" in lint.stdout


async def test_a_call_that_blocks_the_event_loop_is_an_error() -> None:
    planted: dict[str, object] = {}
    source = "import time\n\ndef nap():\n    time.sleep(0.001)\n"
    exec(compile(source, str(Path(gateway.__file__).with_name("planted.py")), "exec"), planted)
    nap = planted["nap"]
    assert callable(nap)
    with pytest.raises(BlockingError):
        nap()


def test_a_warning_is_an_error() -> None:
    with pytest.raises(UserWarning, match="planted"):
        warnings.warn("planted", UserWarning, stacklevel=1)
