"""Retention and legal holds at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from sqlalchemy import Connection

from gateway.clock import now
from gateway.records.message import MessageState
from gateway.records.retention import DAY
from gateway.store import Store, messages
from tests.commands import gateway


@pytest.fixture
async def folder(tmp_path: Path, sqlite_url: str) -> Path:
    """A folder with a configuration, and a database with an old message and a new one, of no order."""
    settings = {"database": {"url": "sqlite:///gateway.db"}, "retention": {"messages_days": 30}}
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(settings))
    store = await Store.open(sqlite_url)

    def keep(connection: Connection) -> None:
        for number, days in enumerate((40, 10)):
            messages.add(
                connection, received_at=now() - days * DAY, listener="ris", peer="p", sender="RIS|HOSP",
                control_id=str(number), type="ADT^A08", digest=bytes(32), body=b"MSH", state=MessageState.APPLIED,
                ack_code="AA", ack=b"", findings=[],
            )  # fmt: skip

    await store.write(keep)
    await store.close()
    return tmp_path


async def test_a_dry_run_shows_what_a_run_deletes(folder: Path) -> None:
    planned = await gateway("retention", "--dry-run", folder=folder)
    assert (planned.returncode, planned.stdout) == (0, "messages: would go: 1 messages\n")
    ran = await gateway("retention", "run", "--json", folder=folder)
    answer = json.loads(ran.stdout)
    assert (ran.returncode, answer["kinds"][0]["deleted"]) == (0, {"messages": 1})
    assert answer["bytes_after"] > 0
    shown = await gateway("retention", folder=folder)
    assert shown.stdout.endswith("messages: deleted: 1 messages\n")
    compacted = await gateway("db", "compact", folder=folder)
    assert "MB after" in compacted.stdout


async def test_without_ages_nothing_is_deleted_and_check_says_so(folder: Path) -> None:
    (folder / "gateway.yaml").write_text("database: {url: 'sqlite:///gateway.db'}\n")
    ran = await gateway("retention", "run", folder=folder)
    assert (ran.returncode, "retention has no ages" in ran.stderr) == (1, True)
    checked = await gateway("check", "--offline", folder=folder)
    assert "note   retention: no ages: nothing is ever deleted" in checked.stdout


async def test_holds_are_put_listed_and_released(folder: Path) -> None:
    unknown = await gateway("hold", "4711", "--note", "case", folder=folder)
    assert (unknown.returncode, "no patient, order or study has this number" in unknown.stderr) == (1, True)
    held = await gateway("hold", "4711", "--patient", "--issuer", "HOSP", "--note", "case 12", folder=folder)
    assert (held.returncode, held.stdout) == (0, "patient 4711 of HOSP: on legal hold\n")
    assert (await gateway("hold", "4711", "--patient", "--note", " ", folder=folder)).returncode == 1
    listed = await gateway("hold", folder=folder)
    assert "patient 4711 of HOSP: since" in listed.stdout
    assert listed.stdout.endswith(": case 12\n")
    released = await gateway("release", "4711", "--patient", "--issuer", "HOSP", "--note", "closed", folder=folder)
    assert released.stdout == "patient 4711 of HOSP: released\n"
    assert (await gateway("hold", folder=folder)).stdout == "nothing is on legal hold\n"
