"""A change of mappings: what it would do to the messages that have come, and doing it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from gateway.assembly import process as app
from gateway.cli.commands import cli
from gateway.config.tree import load
from gateway.records.row_ids import MessageRow
from gateway.store import messages
from gateway.wire.hl7.mllp_client import MllpClient
from tests.journey.messages import adt, orm
from tests.peers.dcmtk import findscu

OVERLAY = """\
order:
  AccessionNumber: OBR-3.1
procedure:
  RequestedProcedureID: OBR-3.1
step:
  Modality: {from: OBR-4.1, table: procedures}
  ScheduledProcedureStepStartDate: {from: OBR-27.4, as: date}
  ScheduledProcedureStepStartTime: {from: OBR-27.4, as: time}
"""
"""Five rows: accession and procedure in the filler number, modality by the procedure code, start in OBR-27."""
sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Beside a feed that both databases connect."""
PROCEDURES = "code,value\nCTH,CT\nMRB,MR\n"


def feed(number: int, *, code: str = "CTH", start: str = "20301124093000", **fields: str) -> bytes:
    """What this site's RIS sends: no OBR-18 to -20, no OBR-24, no ORC-7, no ZDS."""
    raw = orm(control_id=f"C{number}", placer=f"P{number}", filler=f"ACC{number}", accession="", procedure="", step="",
              modality="", study_uid="", start=start, **fields).decode()  # fmt: skip
    raw = raw.replace(f"1^^^{start}^^R||2026", "||2026").replace("CTH^CT head", f"{code}^{code} exam")
    return raw.encode()


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Path:
    """A configuration file of a site without overlay."""
    file = tmp_path / "gateway.yaml"
    settings: dict[str, Any] = {
        "database": {"url": database_url},
        "hl7": {"listeners": [{"name": "ris", "port": 0, "conformance": "off"}]},
        "dicom": {"port": 0},
        "http": {"port": 0},
    }
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return file


def with_overlay(site: Path) -> Path:
    folder = site.parent / "mappings.d"
    (folder / "tables").mkdir(parents=True)
    (folder / "order_to_worklist.yaml").write_text(OVERLAY, encoding="utf-8")
    (folder / "tables" / "procedures.csv").write_text(PROCEDURES, encoding="utf-8")
    settings = yaml.safe_load(site.read_text(encoding="utf-8")) | {"mappings": {"overlay": str(folder)}}
    other = site.with_name("with-overlay.yaml")
    other.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return other


def gateway(*words: str, exit_code: int = 0) -> str:
    done = CliRunner().invoke(cli, list(words))
    assert done.exit_code == exit_code, done.output
    return done.output


async def sent(file: Path, *raw: bytes) -> list[str]:
    async with app.running(load(file)) as running, MllpClient("127.0.0.1", running.hl7_ports["ris"]) as client:
        return [(await client.send(one)).partition(b"\rMSA|")[2][:2].decode() for one in raw]


async def shown(file: Path) -> list[tuple[str, str, str]]:
    """(accession, modality, start) of what a scanner sees."""
    step = "ScheduledProcedureStepSequence[0]."
    keys = ["Modality", "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"]
    async with app.running(load(file)) as running:
        found = await findscu(running.dicom_port, "AccessionNumber", *(f"{step}{key}" for key in keys))
    rows = []
    for item in found.items:
        [one] = item.ScheduledProcedureStepSequence
        start = f"{one.ScheduledProcedureStepStartDate}{one.ScheduledProcedureStepStartTime}"
        rows.append((str(item.AccessionNumber), str(one.Modality), start))
    return sorted(rows)


def test_five_rows_connect_a_feed(site: Path, tmp_path: Path) -> None:
    """Before, the feed is refused; `explain` tells why, and after the change where each value comes from; a dry run
    tells what the kept messages would become, and the replay does it."""
    two = [feed(1), feed(2, code="MRB", start="20301125101500", name="MEIER^UTE", patient="PAT2^^^HOSP")]
    assert asyncio.run(sent(site, *two)) == ["AE", "AE"]
    assert asyncio.run(shown(site)) == []
    message = tmp_path / "order.hl7"
    message.write_bytes(two[0])
    before = gateway("explain", str(message), "-c", str(site), exit_code=1)
    assert "would be answered AE: OBR-24.1: Modality has no value" in before

    changed = with_overlay(site)
    assert "ok     mappings" in gateway("check", "--offline", "-c", str(changed))
    after = gateway("explain", str(message), "-c", str(changed))
    for keyword, value, source in (
        ("AccessionNumber", "ACC1", "OBR-3.1"), ("Modality", "CT", "OBR-4.1"),
        ("ScheduledProcedureStepStartDate", "20301124", "OBR-27.4"),
        ("ScheduledProcedureStepStartTime", "093000", "OBR-27.4"),
    ):  # fmt: skip
        [line] = [line for line in after.splitlines() if keyword in line.split()[:2]]
        assert value in line
        assert source in line
        assert "mappings.d/order_to_worklist.yaml" in line

    trial = gateway("replay", "--dry-run", "--since", "2026-01-01", "-c", str(changed))
    assert "m1  ORM^O01 C1: AE -> AA" in trial
    assert "ACC1  step ACC1 of PAT1: new" in trial
    assert "2 messages: 2 steps and 2 answers would differ. Nothing was changed." in trial
    assert asyncio.run(shown(site)) == []

    assert gateway("replay", "--since", "2026-01-01", "-c", str(changed)).splitlines() == ["m1: AA", "m2: AA"]
    assert asyncio.run(sent(changed, two[0])) == ["AA"], "who sends the bytes again gets the answer of today"
    older = gateway("replay", "m1", "-c", str(site), exit_code=1)
    assert "would be answered AE" in older
    assert "was left as it is" in older
    assert asyncio.run(shown(changed)) == [("ACC1", "CT", "20301124093000"), ("ACC2", "MR", "20301125101500")]
    again = gateway("replay", "--dry-run", "--since", "2026-01-01", "-c", str(changed))
    assert "0 steps and 0 answers would differ" in again


@sqlite
def test_a_dry_run_tells_what_changes_in_each_step(site: Path) -> None:
    """An order and its change are read again together; the patient's other order is left out of the telling."""
    first, change = orm(), orm(control="XO", control_id="2", at="20260123130000", start="20301126070000")
    other = orm(control_id="3", placer="P2", filler="ACC2", accession="ACC2", study_uid="1.2.9", procedure="ACC2")
    assert asyncio.run(sent(site, first, change, other, adt("A08", control_id="4", name="NEW^N"))) == ["AA"] * 4
    changed = with_overlay(site)
    [outcome] = json.loads(gateway("replay", "--dry-run", "--json", "--since", "2026-01-01", "-c", str(changed)))
    assert outcome["messages"] == 4
    assert outcome["answers"] == []
    [step] = outcome["changes"]
    assert (step["accession"], step["what"]) == ("F1", "changed")
    assert step["attributes"] == [
        ["AccessionNumber", "ACC1", "F1"], ["RequestedProcedureID", "RP1", "F1"],
    ]  # fmt: skip
    assert [row[0] for row in asyncio.run(shown(site))] == ["ACC1", "ACC2"]
    gateway("replay", "--since", "2026-01-01", "-c", str(changed))
    assert asyncio.run(shown(changed)) == [("ACC2", "CT", "20301124093000"), ("F1", "CT", "20301126070000")]


@sqlite
def test_messages_of_before_are_left_alone(site: Path) -> None:
    assert asyncio.run(sent(site, feed(1))) == ["AE"]
    trial = gateway("replay", "--dry-run", "--since", "2100-01-01", "-c", str(with_overlay(site)))
    assert trial.startswith("0 messages: ")


@sqlite
def test_what_was_replayed_says_so(site: Path) -> None:
    asyncio.run(sent(site, feed(1)))
    changed = with_overlay(site)
    gateway("replay", "m1", "-c", str(changed))

    async def row() -> Any:
        async with app.running(load(changed)) as running:
            return await running.store.read(lambda connection: messages.get(connection, MessageRow(1)))

    kept = asyncio.run(row())
    assert (kept["state"], kept["ack_code"]) == ("applied", "AA")
    assert "answered AE when it came (OBR-24.1: Modality has no value" in kept["findings"][0]["text"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "name what to replay, or give --cause, --since or --ehr"),
        (("d1", "--dry-run"), "--dry-run is for messages"),
    ],
)
def test_wrong_use_is_told(words: tuple[str, ...], told: str) -> None:
    done = CliRunner().invoke(cli, ["replay", *words])
    assert done.exit_code == 2
    assert told in done.output
