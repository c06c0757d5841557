"""`reconcile`: what it prints, and its exit code."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import Connection, update
from typer.testing import CliRunner

from gateway.cli import cli
from gateway.errors import ConfigError
from gateway.simulators.ehr import EhrSimulator
from gateway.store import Store
from gateway.store.schema import studies
from tests.commands import gateway
from tests.web.served import NINE, STUDY, add_instance


def prepared(folder: Path) -> None:
    """A database of one study of 2026-01-05."""

    def fill(connection: Connection) -> None:
        add_instance(connection, 1, at=NINE)
        connection.execute(update(studies).values(study_date="20260105", settled_at=NINE))

    async def prepare() -> None:
        store = await Store.open(f"sqlite:///{folder}/gateway.db")
        await store.write(fill)
        await store.close()

    asyncio.run(prepare())


async def test_differences_are_named_and_end_with_1(tmp_path: Path) -> None:
    await asyncio.to_thread(prepared, tmp_path)
    async with EhrSimulator() as ehr:
        (tmp_path / "gateway.yaml").write_text(
            f"database: {{url: 'sqlite:///gateway.db'}}\nehrs: [{{name: main, url: '{ehr.url}'}}]\n"
        )
        asked = ("reconcile", "--since", "2026-01-05", "--until", "2026-01-06")
        done = await gateway(*asked, folder=tmp_path)
        assert done.returncode == 1, done.stderr
        assert done.stdout.splitlines()[0] == f"{STUDY}: missing at main: it was never delivered"
        assert "1 studies of 2 days compared: 1 missing at main" in done.stdout
        done = await gateway(*asked, "--fix", "--json", folder=tmp_path)
        told = json.loads(done.stdout)
        assert (done.returncode, told["repaired"], told["found"][0]["repair"]) == (1, 1, "settle")
        none = await gateway("reconcile", "--since", "2026-01-06", "--until", "2026-01-06", folder=tmp_path)
        assert (none.returncode, none.stderr) == (0, "")


def test_what_cannot_be_compared_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(tmp_path)
    monkeypatch.setenv("GATEWAY_DATABASE__URL", f"sqlite:///{tmp_path}/gateway.db")
    monkeypatch.chdir(tmp_path)
    wrong = CliRunner().invoke(cli, ["reconcile", "--since", "2026-01-05", "--ehr", "nobody"])
    assert isinstance(wrong.exception, ConfigError)
    behind = CliRunner().invoke(cli, ["reconcile", "--since", "2026-01-05", "--until", "2026-01-04"])
    assert behind.exit_code == 2
