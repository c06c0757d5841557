"""The rotation of docker/logrotate, by logrotate itself, of a file to which a gateway writes."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.going_live.page import ROOT, eventually
from tests.peers.process import found, run

RULE = ROOT / "docker" / "logrotate" / "gateway"


async def test_the_log_is_rotated_while_the_gateway_writes(tmp_path: Path) -> None:
    program = found("logrotate", "apt-get install -y logrotate")
    if os.geteuid() != 0:
        pytest.skip("the rule names root")
    log, rule = tmp_path / "log" / "gateway.log", tmp_path / "rule"
    log.parent.mkdir(mode=0o755)
    text = RULE.read_text(encoding="utf-8").replace("/var/log/gateway/gateway.log", str(log))
    rule.write_text(text, encoding="utf-8")
    rule.chmod(0o644)
    config = tmp_path / "gateway.yaml"
    config.write_text("hl7: {listeners: [{port: 0}]}\ndicom: {port: 0}\nhttp: {port: 0}\n", encoding="utf-8")
    with log.open("ab") as target:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "run", "-c", str(config), stdout=target, stderr=target
        )
    try:
        await eventually(lambda: _holds(log, "console on"), seconds=60, what="the start")
        before = log.read_bytes()
        done = await run(program, "--force", "--state", tmp_path / "state", rule)
        assert done.returncode == 0, done.stderr
        [kept] = [one for one in log.parent.iterdir() if one != log]
        assert kept.read_bytes() == before
        assert log.stat().st_size < len(before)
        process.send_signal(1)
        await eventually(lambda: _holds(log, "reload"), seconds=30, what="a line after the rotation")
        assert b"\0" not in log.read_bytes(), "it is appended to, not written at the former place"
    finally:
        process.terminate()
        await process.wait()


async def _holds(file: Path, words: str) -> bool:
    return words in file.read_text(encoding="utf-8")
