"""An upgrade and the way back, with programs of this repository's history: what docs/going-live.md has of them.

Whole processes of both versions; `UPGRADE_FROM` names the older commit, `UPGRADE_ORDERS` how many orders it has.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.ports import free_port
from gateway.store import migrations
from gateway.wire.hl7.mllp_client import MllpClient
from tests.going_live.page import ROOT, eventually
from tests.peers.process import Completed, accepts, run
from tests.store.test_backup import accession_numbers, order

ORDERS = int(os.environ.get("UPGRADE_ORDERS", "2000"))
NEWEST = migrations.newest()
AFTER = 50
"""Orders that come between the upgrade and the way back."""


def git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def before(migration: str) -> str:
    """The commit before the one that added a migration."""
    return git("log", "--diff-filter=A", "--format=%H^", "-1", "--", f"gateway/store/migrations/versions/{migration}*")


@dataclass(frozen=True)
class Program:
    """One version of the gateway, in a folder of its own."""

    code: Path
    config: Path

    def command(self, *arguments: str) -> list[str]:
        # Not the folder of the test, whatever it is, but PYTHONPATH decides which program it is.
        return [sys.executable, "-P", "-m", "gateway", *arguments, "-c", str(self.config)]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.code)}

    @property
    def paused(self) -> tuple[str, ...]:
        """`--paused`, where this version has it."""
        text = (self.code / "gateway" / "cli" / "serving.py").read_text(encoding="utf-8")
        return ("--paused",) if "--paused" in text else ()

    async def run(self, *arguments: str) -> Completed:
        return await run(*self.command(*arguments), env=self.environment, timeout=300)

    @asynccontextmanager
    async def serving(self, port: int, *arguments: str) -> AsyncIterator[None]:
        with (self.config.parent / "gateway.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self.command("run", *arguments), env=self.environment, stdout=log, stderr=log, cwd=self.config.parent
            )
        try:
            await eventually(lambda: _listens(port), seconds=90, what="the start")
            yield
        finally:
            process.terminate()
            assert await process.wait() == 0


def put_back(site: Path) -> None:
    """The backup in place of the database, whose files are kept aside."""
    for name in ("gateway.db", "gateway.db-wal", "gateway.db-shm"):
        if (site / name).exists():
            (site / name).rename(site / f"newer-{name}")
    (site / "before.db").rename(site / "gateway.db")


async def _listens(port: int) -> bool:
    return accepts(port)


async def send(port: int, first: int, last: int) -> None:
    async with MllpClient("127.0.0.1", port) as ris:
        for number in range(first, last):
            assert b"MSA|AA|" in await ris.send(order(number))


@pytest.fixture(params=["0028", "0020"])
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A working tree of the version before a migration: schema 0026, and one further back."""
    commit = os.environ.get("UPGRADE_FROM") or before(request.param)
    tree = tmp_path / "older"
    git("worktree", "add", "--detach", "--force", str(tree), commit)
    yield tree
    git("worktree", "remove", "--force", str(tree))


async def test_an_upgrade_and_the_way_back(older: Path, tmp_path: Path) -> None:
    site, port = tmp_path / "site", free_port()
    site.mkdir()
    config, database = site / "gateway.yaml", site / "gateway.db"
    settings = {
        "database": {"url": f"sqlite:///{database}"}, "hl7": {"listeners": [{"port": port}]}, "dicom": {"port": 0},
        "http": {"port": 0}, "log": {"level": "info"},
    }  # fmt: skip
    config.write_text(json.dumps(settings), encoding="utf-8")
    old, new = Program(older, config), Program(ROOT, config)

    async with old.serving(port):
        await send(port, 0, ORDERS)
        began = time.monotonic()
        copied = await old.run("backup", str(site / "before.db"))
        assert copied.returncode == 0, copied.stderr
        backup = time.monotonic() - began
    schema = sorted((older / "gateway/store/migrations/versions").glob("0*.py"))[-1].name[:4]

    refused = await new.run("run")
    assert refused.returncode == 1
    assert "gateway db upgrade" in refused.stderr, "the new program names the command"
    began = time.monotonic()
    upgraded = await new.run("db", "upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    upgrade = time.monotonic() - began
    assert (await new.run("check", "--offline")).returncode == 0
    began = time.monotonic()
    async with new.serving(port):
        start = time.monotonic() - began
        await send(port, ORDERS, ORDERS + AFTER)
    assert len(accession_numbers(database)) == ORDERS + AFTER

    refused = await old.run("run")
    assert refused.returncode == 1, "there is no way back but the backup"
    began = time.monotonic()
    await asyncio.to_thread(put_back, site)
    async with old.serving(port, *old.paused):
        back = time.monotonic() - began
        assert len(accession_numbers(database)) == ORDERS
        await send(port, ORDERS - AFTER, ORDERS + AFTER)
        assert len(accession_numbers(database)) == ORDERS + AFTER, "what it has is not doubled"
    print(
        f"\n{ORDERS} orders, schema {schema} -> {NEWEST}: backup {backup:.1f} s, upgrade {upgrade:.1f} s, "
        f"start {start:.1f} s; back: {back:.1f} s until the older version takes messages, {AFTER} orders sent again"
    )
