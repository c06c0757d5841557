from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FORWARDING = "studies: {storage: forward, spool: {folder: spool}}\n"
FINDING = "forward without the codecs (imaging-gateway[pixels])"


@pytest.mark.parametrize(
    ("before", "is_found"), [("sys.modules['imagecodecs'] = None", True), ("", False)], ids=["without", "with"]
)
def test_forwarding_without_the_codecs_is_named(before: str, is_found: bool, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(FORWARDING, encoding="utf-8")
    text = f"import sys\n{before}\nfrom gateway.cli import main\nmain()\n"
    command = [sys.executable, "-c", text, "check", "--offline"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (FINDING in done.stdout) is is_found


def test_keys_without_an_effect_are_named(tmp_path: Path) -> None:
    text = "reconcile: {fix: true}\nstudies: {quiet_seconds: 9, longest_wait_seconds: 5}\n"
    (tmp_path / "gateway.yaml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "gateway", "check", "--offline"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "note   reconcile.days: not set" in done.stdout
    assert "note   studies.longest_wait_seconds: shorter than quiet_seconds" in done.stdout
