"""`gateway audit`: the proof before and after a row was altered by SQL, lists and exports, each itself an event."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

from gateway.store import Store, audit
from tests.cli.test_commands import configure
from tests.commands import gateway
from tests.operations.audit.events import EVENTS, faults
from tests.store.test_audit import recorded


async def _filled(folder: Path) -> Path:
    configure(folder)
    store = await Store.open(f"sqlite:///{folder}/gateway.db")
    await store.write(recorded(*EVENTS))
    await store.write(audit.seal)
    await store.close()
    return folder / "gateway.db"


def _altered(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(statement)
    connection.close()


async def test_the_chain_is_proven_and_a_row_that_was_altered_is_named(tmp_path: Path) -> None:
    file = await _filled(tmp_path)
    whole = await gateway("audit", "verify", folder=tmp_path)
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.startswith(f"whole: {len(EVENTS)} rows, 0 more are not chained yet\nhead {len(EVENTS)}:")
    head = whole.stdout.split()[-1]
    again = json.loads((await gateway("audit", "verify", "--head", head, "--json", folder=tmp_path)).stdout)
    assert (again["fault"], again["rows"]) == (None, len(EVENTS) + 1), "the first proof is an event"
    _altered(file, "UPDATE audit SET event = replace(event, 'RIS|HOSP', 'RIS|HOPS') WHERE sequence = 2")
    broken = await gateway("audit", "verify", folder=tmp_path)
    assert broken.returncode == 1
    assert broken.stdout.startswith("BROKEN at row 2: altered: event and hash do not belong together\n")
    listed = json.loads((await gateway("audit", "list", "--what", "security alert", "--json", folder=tmp_path)).stdout)
    assert "the chain of the audit trail is broken" in listed[0]["note"]


async def test_events_are_listed_and_exported(tmp_path: Path) -> None:
    await _filled(tmp_path)
    listed = await gateway("audit", "list", "--who", "eve", "--what", "patient record", folder=tmp_path)
    [line] = listed.stdout.splitlines()
    assert "person eve 192.0.2.9" in line
    of_patient = json.loads((await gateway("audit", "list", "--patient", "P2", "--json", folder=tmp_path)).stdout)
    assert [row["sequence"] for row in of_patient] == [2]
    for form in ("csv", "ndjson", "dicom"):
        done = await gateway("audit", "export", "--format", form, "--who", "CT1", f"{form}.out", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr.strip().endswith("4 events")
        assert (tmp_path / f"{form}.out").stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader((tmp_path / "csv.out").read_text(encoding="utf-8").splitlines()))
    assert [row["event"] for row in rows][:2] == ["query", "instances transferred"]
    values = [json.loads(line) for line in (tmp_path / "ndjson.out").read_bytes().splitlines()]
    assert [value["kind"] for value in values] == [row["event"] for row in rows]
    messages = (tmp_path / "dicom.out").read_bytes().splitlines()
    assert [fault for message in messages for fault in faults(message)] == []
    assert (await gateway("audit", "export", "csv.out", folder=tmp_path)).returncode == 1, "no file is written over"
    used = json.loads((await gateway("audit", "list", "--what", "audit log used", "--json", folder=tmp_path)).stdout)
    assert [row["note"] for row in used] == ["exported", *["exported"] * 3, "looked at", "looked at", ""]
