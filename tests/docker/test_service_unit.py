"""The unit of systemd: systemd finds no fault in it, and little that the gateway could do beyond its work."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.peers.process import found, run

UNIT = Path(__file__).parents[2] / "docker" / "systemd" / "gateway.service"
DEBIAN = "apt-get install -y systemd"
MOST_EXPOSED = 1.5
"""Of 10, in the count of `systemd-analyze security` (252); 9.6 for a unit without any of its lines."""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit as it stands, with a program that is here."""
    program = tmp_path / "gateway"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    copy = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8")
    copy.write_text(text.replace("/opt/gateway/bin/gateway", str(program)), encoding="utf-8")
    return copy


async def test_systemd_finds_no_fault(unit: Path) -> None:
    done = await run(found("systemd-analyze", DEBIAN), "verify", "--man=no", unit)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    unit.write_text(unit.read_text(encoding="utf-8").replace("PrivateTmp=", "PrivatTmp="), encoding="utf-8")
    done = await run(found("systemd-analyze", DEBIAN), "verify", "--man=no", unit)
    assert "PrivatTmp" in done.stderr, "a fault is found"


async def test_little_is_left_that_it_could_do(unit: Path) -> None:
    done = await run(found("systemd-analyze", DEBIAN), "security", "--offline=true", unit)
    figure = re.search(r"Overall exposure level for gateway.service: ([\d.]+)", done.stdout)
    assert figure is not None, done.stdout + done.stderr
    assert float(figure[1]) <= MOST_EXPOSED
    page = UNIT.parents[2] / "docs" / "going-live.md"
    assert f"gives it {figure[1]} of 10" in page.read_text(encoding="utf-8"), json.dumps(figure[1])
