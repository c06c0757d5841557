"""`db copy`, as a person runs it."""

from __future__ import annotations

from pathlib import Path

from gateway.store import Store
from tests.cli.test_commands import configure
from tests.commands import gateway, served
from tests.web.served import whole_journey


async def test_a_site_grows(tmp_path: Path, postgres_url: str) -> None:
    configure(tmp_path)
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    await store.write(whole_journey)
    await store.close()
    copy = ("db", "copy", "sqlite:///gateway.db", postgres_url)
    done = await gateway(*copy, folder=tmp_path)
    # A copy that takes long says how far it is.
    lines = [line for line in done.stderr.splitlines() if " rows" not in line]
    assert (done.returncode, lines) == (0, [])
    assert done.stdout.endswith(" tables copied and counted\n")
    shown = await gateway("show", "A100", folder=tmp_path, env={"GATEWAY_DATABASE__URL": postgres_url})
    assert shown.returncode == 0, shown.stderr
    again = await gateway(*copy, folder=tmp_path)
    assert again.returncode == 1
    assert "the target is not empty" in again.stderr
    missing = await gateway("db", "copy", "sqlite:///other.db", postgres_url, folder=tmp_path)
    assert missing.stderr.startswith("there is no database ")


async def test_not_while_its_gateway_serves(tmp_path: Path) -> None:
    configure(tmp_path)
    async with served(tmp_path):
        done = await gateway("db", "copy", "sqlite:///gateway.db", "postgresql://nowhere/x", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "another gateway works on" in done.stderr
