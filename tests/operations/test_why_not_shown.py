"""`gateway why`: what keeps an order off a scanner."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from gateway.assembly import process as app
from gateway.cli.commands import cli
from gateway.config.tree import load
from gateway.wire.hl7.mllp_client import MllpClient
from tests.journey.messages import adt, orm
from tests.peers.dcmtk import findscu

STEP = "ScheduledProcedureStepSequence[0]."
DAY = "20301124"


def order(number: int, *, control: str = "NW", at: str = "20260123120000", **fields: str) -> bytes:
    numbers = {
        "placer": f"P{number}",
        "filler": f"F{number}",
        "accession": f"ACC{number}",
        "study_uid": f"1.2.{number}",
    }
    ids = {"procedure": f"RP{number}", "step": f"S{number}", "control_id": f"{control}{number}"}
    return orm(control=control, at=at, **(numbers | ids | fields))


def for_station(raw: bytes, station: str) -> bytes:
    """With the station in ORC-13, where this site's overlay reads it."""
    lines = raw.split(b"\r")
    [number] = [number for number, line in enumerate(lines) if line.startswith(b"ORC")]
    fields = lines[number].split(b"|") + [b""] * 5
    fields[13] = station.encode()
    lines[number] = b"|".join(fields)
    return b"\r".join(lines)


ORDERS = [
    order(1),
    order(2), order(2, control="CA", at="20260123130000"),
    order(3), order(3, control="HD", at="20260123130000"),
    order(4, modality="MR"),
    order(5, start="20301125093000"),
    order(6, name="SOMEBODY^ELSE", patient="PAT6^^^HOSP"),
    for_station(order(7), "CT2"),
    order(8, control="CA"),
    order(9, modality="MR", patient="PAT9^^^HOSP"),
]  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, file_database_url: str) -> Path:
    """A site with these orders, whose scanner CT1 has asked for the CT of its day, its patients and its station."""
    folder = tmp_path_factory.mktemp("site")
    overlay = folder / "mappings.d"
    overlay.mkdir()
    (overlay / "order_to_worklist.yaml").write_text("step:\n  ScheduledStationAETitle: ORC-13.1\n", encoding="utf-8")
    file = folder / "gateway.yaml"
    settings: dict[str, Any] = {
        "database": {"url": file_database_url},
        "hl7": {"listeners": [{"name": "ris", "port": 0, "conformance": "off"}]},
        "dicom": {"port": 0},
        "http": {"port": 0},
        "mappings": {"overlay": str(overlay)},
    }
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")

    async def fill() -> None:
        async with app.running(load(file)) as running:
            async with MllpClient("127.0.0.1", running.hl7_ports["ris"]) as client:
                for raw in ORDERS:
                    assert b"MSA|AA|" in await client.send(raw)
            found = await findscu(
                running.dicom_port, "PatientName=MUSTER*", f"{STEP}Modality=CT", f"{STEP}ScheduledStationAETitle=CT1",
                f"{STEP}ScheduledProcedureStepStartDate={DAY}", "AccessionNumber", calling_ae="CT1",
            )  # fmt: skip
            assert [str(item.AccessionNumber) for item in found.items] == ["ACC1"]

    asyncio.run(fill())
    return file


def changed(site: Path, folder: Path, **sections: dict[str, Any]) -> Path:
    """The configuration of the site with other keys, in `folder`."""
    settings = yaml.safe_load(site.read_text(encoding="utf-8"))
    for name, keys in sections.items():
        settings[name] |= keys
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return file


def why(site: Path, accession: str, station: str = "CT1") -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["why", accession, "--station", station, "--json", "-c", str(site)])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


def test_each_order_tells_its_own_reason(site: Path) -> None:
    reasons = {f"ACC{number}": why(site, f"ACC{number}")["steps"] for number in range(1, 8)}
    assert {accession: step["reasons"] for accession, [step] in reasons.items()} == {
        "ACC1": [],
        "ACC2": ["CANCELED steps are not shown (dicom.hidden_states)"],
        "ACC3": ["the order is on hold"],
        "ACC4": ["asked for Modality = CT; it has MR"],
        "ACC5": ["asked for ScheduledProcedureStepStartDate = 20301124; it has 20301125"],
        "ACC6": ["asked for PatientName = MUSTER*; it has SOMEBODY^ELSE"],
        "ACC7": ["asked for ScheduledStationAETitle = CT1; it has CT2"],
    }
    told = {accession: step["told_at"] is not None for accession, [step] in reasons.items()}
    assert [accession for accession, was in told.items() if was] == ["ACC1"]


def test_it_says_when_the_scanner_asked_and_what_it_was_told(site: Path) -> None:
    found = why(site, "ACC4")
    assert (found["answers"], found["status"]) == (1, 0)
    assert found["asked_at"] is not None
    done = CliRunner().invoke(cli, ["why", "ACC4", "--station", "CT1", "-c", str(site)])
    first, patient, step, reason = done.output.splitlines()
    assert patient.startswith("patient PAT1 MUSTER^MAX, study ")
    assert first.startswith("CT1 last asked 20")
    assert first.endswith("and was answered 1 steps")
    assert step == "ACC4 step S4 (SCHEDULED, 20301124 093000, every station), never answered: would not be shown"
    assert reason == "    asked for Modality = CT; it has MR"


def test_a_scanner_that_never_asked(site: Path) -> None:
    found = why(site, "ACC1", station="NOBODY")
    assert found["asked_at"] is None
    assert found["remarks"] == [
        "NOBODY has not asked, as far back as queries are kept; states and rules are all that is known"
    ]


def test_who_asks_by_a_former_patient_id_and_who_by_anothers(site: Path) -> None:
    async def merge_and_ask() -> None:
        async with app.running(load(site)) as running:
            async with MllpClient("127.0.0.1", running.hl7_ports["ris"]) as client:
                merge = adt("A40", patient="NEW^^^HOSP", name="MUSTER^MAX", prior="PAT9^^^HOSP", at="20260124120000")
                assert b"MSA|AA|" in await client.send(merge)
            for issuer in ("HOSP", "CLINIC"):
                keys = "PatientID=PAT9", f"IssuerOfPatientID={issuer}", "AccessionNumber=ACC9"
                await findscu(running.dicom_port, *keys, calling_ae=issuer)

    asyncio.run(merge_and_ask())
    [of_ours], [of_others] = (why(site, "ACC9", station)["steps"] for station in ("HOSP", "CLINIC"))
    assert of_ours["reasons"] == []
    assert of_others["reasons"] == ["asked for PatientID = PAT9; it has NEW, IssuerOfPatientID = CLINIC; it has HOSP"]


def test_how_the_last_query_of_a_scanner_failed(site: Path, tmp_path: Path) -> None:
    site = changed(site, tmp_path, dicom={"max_worklist_matches": 2})

    async def ask() -> None:
        async with app.running(load(site)) as running:
            await findscu(running.dicom_port, "AccessionNumber", calling_ae="MANY")
            await findscu(running.dicom_port, f"{STEP}ScheduledProcedureStepStartDate=-", calling_ae="WRONG")

    asyncio.run(ask())
    assert why(site, "ACC1", station="MANY")["remarks"] == [
        "its last query matched more than the limit of 2 steps; not all were sent"
    ]
    assert why(site, "ACC1", station="WRONG")["remarks"] == ["its last query ended with status A900"]


def test_a_station_that_is_not_let_in(site: Path, tmp_path: Path) -> None:
    [remark] = why(changed(site, tmp_path, dicom={"allowed_calling_aes": ["MR1"]}), "ACC1")["remarks"]
    assert remark == "CT1 is not among dicom.allowed_calling_aes: its associations are refused"


@pytest.mark.parametrize("accession", ["NONE", "ACC8"])
def test_what_was_never_ordered(site: Path, accession: str) -> None:
    """Of the last one only a cancel has come."""
    done = CliRunner().invoke(cli, ["why", accession, "--station", "CT1", "-c", str(site)])
    assert done.exit_code == 1
    assert str(done.exception) == f"nothing was ordered under the number {accession}"


def test_a_rule_of_its_station_is_named(site: Path, tmp_path: Path) -> None:
    overlay = shutil.copytree(site.parent / "mappings.d", tmp_path / "mappings.d")
    (overlay / "scanners.yaml").write_text("CT1: {modalities: [US]}\nNOB*: {modalities: [MR]}\n")
    site = changed(site, tmp_path, mappings={"overlay": str(overlay)})
    [step] = why(site, "ACC1", station="NOBODY")["steps"]
    assert step["reasons"] == ["the row NOB* of scanners.yaml asks for Modality = MR; it has CT"]
    [step] = why(site, "ACC1")["steps"]
    assert step["reasons"] == []  # the query named a modality itself


def test_a_station_that_may_not_ask(site: Path, tmp_path: Path) -> None:
    site = changed(site, tmp_path, dicom={"peers": [{"ae_title": "CT1", "services": ["storage"]}]})
    assert "dicom.peers CT1: worklist is not among its services" in why(site, "ACC1")["remarks"]


def test_an_order_is_asked_by_any_number_also_one_that_was_rejected(site: Path) -> None:
    for number in ("P4", "ACC4"):
        assert [one["accession"] for one in why(site, number)["steps"]] == ["ACC4"]
    done = CliRunner().invoke(cli, ["why", "NOWHERE", "--station", "CT1", "-c", str(site)])
    assert (done.exit_code, str(done.exception)) == (1, "nothing was ordered under the number NOWHERE")

    async def send_wrong() -> None:
        async with app.running(load(site)) as running, MllpClient("127.0.0.1", running.hl7_ports["ris"]) as client:
            await client.send(orm(control_id="WRONG", accession="ACC10", placer="P10", patient=""))

    asyncio.run(send_wrong())
    first, *_ = why(site, "P10")["remarks"]
    assert first.startswith("message ")
    assert "ORM^O01 WRONG, was rejected and answered A" in first
    assert "PID-3" in first
