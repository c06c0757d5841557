"""`gateway status`: beside a gateway that serves, and where none does."""

from __future__ import annotations

import json
from pathlib import Path

from bench.ports import free_port
from tests.commands import gateway, served

CONFIGURATION = """
database: {{url: "sqlite:///gateway.db"}}
hl7: {{listeners: [{{port: 0}}]}}
dicom: {{port: 0}}
http: {{port: {port}, token: a-token-of-24-characters}}
"""


async def test_it_tells_what_the_gateway_sees_and_what_the_database_alone_tells(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(CONFIGURATION.format(port=free_port()), encoding="utf-8")
    async with served(tmp_path):
        beside = await gateway("status", folder=tmp_path)
        as_json = json.loads((await gateway("status", "--json", folder=tmp_path)).stdout)
    assert "listener ris: port" in beside.stdout, beside.stderr
    assert beside.returncode == (0 if as_json["level"] == "good" else 1)
    assert {part["kind"] for part in as_json["parts"]} >= {"database", "disk", "listener", "dicom", "worker", "backup"}
    assert [part for part in as_json["parts"] if part["level"] == "bad" and part["kind"] != "disk"] == []
    assert (await gateway("backup", "copy.db", folder=tmp_path)).returncode == 0
    alone = await gateway("status", folder=tmp_path)
    assert alone.returncode == 1
    assert "no gateway answers at port" in alone.stdout
    assert "backup: is made" in alone.stdout
    assert alone.stderr == ""


async def test_another_token_is_named(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(CONFIGURATION.format(port=free_port()), encoding="utf-8")
    async with served(tmp_path):
        refused = await gateway("status", folder=tmp_path, env={"GATEWAY_HTTP__TOKEN": "another"})
    assert refused.returncode == 1
    assert "HTTP 401" in refused.stderr
