"""`gateway users` and `gateway tokens`: they make, list and take away; what is secret is printed once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import gateway


@pytest.fixture
def site(sqlite_url: str, tmp_path: Path) -> Path:
    (tmp_path / "gateway.yaml").write_text(f'database: {{url: "{sqlite_url}"}}\n', encoding="utf-8")
    return tmp_path


async def test_users_are_made_changed_and_listed(site: Path) -> None:
    first = await gateway("users", "add", "otto", "--role", "operator", folder=site)
    assert (first.returncode, "the first user is an admin" in first.stderr) == (1, True)
    made = await gateway("users", "add", "Ada", "--role", "admin", folder=site)
    assert (made.returncode, "ada: admin; sets a password once until" in made.stdout) == (0, True)
    assert "/password?link=" in made.stdout
    assert (await gateway("users", "add", "otto", "--role", "operator", folder=site)).returncode == 0
    again = await gateway("users", "add", "OTTO", folder=site)
    assert (again.returncode, again.stderr) == (1, "name: there is a user otto already\n")
    assert (await gateway("users", "role", "otto", "viewer", folder=site)).stdout == "otto: viewer\n"
    assert (await gateway("users", "disable", "otto", folder=site)).stdout == "otto: viewer, disabled\n"
    assert "it is disabled" in (await gateway("users", "link", "otto", folder=site)).stderr
    assert (await gateway("users", "disable", "otto", "--undo", folder=site)).stdout == "otto: viewer\n"
    assert "/password?link=" in (await gateway("users", "link", "otto", folder=site)).stdout
    last = await gateway("users", "disable", "ada", folder=site)
    assert (last.returncode, "the last admin" in last.stderr) == (1, True)
    listed = await gateway("users", "list", folder=site)
    assert listed.stdout.splitlines()[0] == "ada  admin  password  no login yet  no password yet"
    as_json = json.loads((await gateway("users", "list", "--json", folder=site)).stdout)
    assert [one["name"] for one in as_json] == ["ada", "otto"]
    assert "hash" not in str(as_json)


async def test_tokens_are_made_listed_and_revoked(site: Path) -> None:
    made = json.loads((await gateway("tokens", "add", "ct1", "--scanner", "CT1", "--json", folder=site)).stdout)
    assert made["token"].startswith("igw_")
    assert (await gateway("tokens", "add", "x", folder=site)).returncode == 2
    text = await gateway("tokens", "add", "mon", "--role", "viewer", "--days", "1", folder=site)
    assert (text.returncode, text.stderr) == (0, "keep it: it is shown this once\n")
    assert text.stdout.startswith("mon: igw_")
    assert "\\" not in text.stdout
    listed = await gateway("tokens", "list", folder=site)
    assert listed.stdout.splitlines()[0] == "ct1  scanner CT1  without an end  not used yet"
    assert made["token"] not in listed.stdout
    assert (await gateway("tokens", "revoke", "ct1", folder=site)).stdout == "ct1: opens nothing any more\n"
    assert "revoked" in (await gateway("tokens", "list", folder=site)).stdout
    assert "there is no token" in (await gateway("tokens", "revoke", "nobody", folder=site)).stderr
