"""The commands, as a person runs them: in processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydicom import dcmread
from pydicom.data import get_testdata_file
from sqlalchemy import Connection
from typer.testing import CliRunner

from bench.ports import free_port
from gateway.cli import cli
from gateway.cli.simulation import Control
from gateway.errors import Fate
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.work import Lane, delivery_to
from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.ehr_answers import Manners
from gateway.simulators.ris import _ORDER_STATUS
from gateway.store import Store, outbox, outbox_claims
from gateway.wire.hl7.mllp_client import MllpClient
from gateway.wire.hl7.mllp_framing import MllpPeer
from gateway.wire.hl7.mllp_incoming import MllpLimits
from gateway.wire.hl7.mllp_server import MllpServer
from tests.commands import START_SECONDS, gateway, served
from tests.conftest import comes_true, until
from tests.journey.messages import orm
from tests.peers.dcmtk import storescu
from tests.peers.process import run

GATEWAY = (sys.executable, "-m", "gateway")
ROOT = Path(__file__).parents[2]


def configure(folder: Path, **more: object) -> dict[str, int]:
    """A gateway.yaml on free ports in `folder`."""
    ports = {"hl7": free_port(), "dicom": free_port(), "http": free_port()}
    settings: dict[str, object] = {
        "site": {"patient_id_issuer": "HOSP", "identifier_systems": {"HOSP": "urn:oid:2.25.1"}},
        "hl7": {"listeners": [{"name": "ris", "port": ports["hl7"]}]},
        "dicom": {"port": ports["dicom"]},
        "http": {"port": ports["http"]},
        "studies": {"quiet_seconds": 0.2},
    }
    (folder / "gateway.yaml").write_text(json.dumps(settings | more), encoding="utf-8")
    return ports


async def test_demo_once_tells_its_story(tmp_path: Path) -> None:
    """And keeps to itself: what the environment says of the site's own systems is not for it."""
    site = {
        "GATEWAY_DATABASE__URL": f"sqlite:///{tmp_path}/site.db",
        "GATEWAY_EHRS": '[{"name": "site", "url": "http://127.0.0.1:9/fhir"}]',
    }
    done = await run("env", "-C", tmp_path, *GATEWAY, "demo", "--once", env=site)
    assert list(tmp_path.iterdir()) == []
    assert done.returncode == 0, done.stderr
    for step in range(1, 11):
        assert f"\n{step}. " in done.stdout
    assert "version 2" in done.stdout
    assert done.stdout.strip().splitlines()[-1].startswith("Try next: ")
    assert done.stderr == ""


async def test_each_command_loads_what_it_needs(tmp_path: Path) -> None:
    """Whichever is the first: none leans on what another has imported."""
    (tmp_path / "order.hl7").write_bytes(orm())
    file = str(get_testdata_file("CT_small.dcm"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        expected = {
            ("check", "--offline"): (0, "mappings"),
            ("db", "upgrade"): (0, "schema (none) -> "),
            ("explain", "order.hl7", file): (0, "OBR-18.1"),
            ("show", "A1"): (1, "A1"),
            ("withdraw", "9.9"): (1, "9.9: there is no such study"),
            ("simulate", "ris", "--port", "1"): (1, "127.0.0.1:1"),
            ("simulate", "ehr", "--port", port): (1, f"cannot listen on 127.0.0.1:{port}"),
        }
        asked = json.dumps(list(expected))
        program = ("env", "-C", tmp_path, sys.executable, "-m", "tests.cli.loading")
        done = await run(*program, asked, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    for (command, (code, text)), (ended, written) in zip(expected.items(), json.loads(done.stdout), strict=True):
        assert (ended, text in written) == (code, True), (command, written)


async def test_five_mistakes_are_five_faults(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(
        "site:\n  timezone: Mars/Base\ndicom:\n  port: 99999\n  ae_titel: X\nehrs:\n  - name: e\n    url: nowhere\n"
        "http:\n  oidc: {client_id: gw, issuer: nowhere}\n",
        encoding="utf-8",
    )
    for command in ("run", "check"):
        done = await gateway(command, folder=tmp_path)
        assert done.returncode == 1
        assert sorted(int(line.split(":")[1]) for line in done.stderr.splitlines()) == [2, 4, 5, 8, 10]


async def test_check_finds_a_taken_port_a_lost_ehr_and_says_what_is_well(tmp_path: Path) -> None:
    async with EhrSimulator() as ehr:
        ports = configure(
            tmp_path, ehrs=[{"name": "good", "url": ehr.url}, {"name": "lost", "url": "http://127.0.0.1:9/fhir"}]
        )
        with socket.create_server(("127.0.0.1", ports["dicom"])):
            done = await gateway("check", folder=tmp_path)
        assert done.returncode == 1
        assert f"cannot listen on 127.0.0.1:{ports['dicom']}: the port is taken by another program" in done.stderr
        assert "ehrs lost" in done.stderr
        assert "ehrs good: FHIR 4.0.1, auth none, ImagingStudy is written by PUT under an id of ours" in done.stdout
        assert len(done.stderr.splitlines()) == 2


async def test_explain_gives_every_attribute_its_source(tmp_path: Path) -> None:
    configure(tmp_path)
    (tmp_path / "order.hl7").write_bytes(orm())
    done = await gateway("explain", "order.hl7", str(get_testdata_file("CT_small.dcm")), "--json", folder=tmp_path)
    order, study = json.loads(done.stdout)
    sources = {row["target"]: (row["value"], row["source"], row["origin"].split(":")[0]) for row in order["rows"]}
    assert sources["AccessionNumber"] == ("ACC1", "OBR-18.1", "order_to_worklist.yaml")
    assert sources["StudyInstanceUID"] == ("1.2.3.4.5", "ZDS-1.1", "order_to_worklist.yaml")
    sources = {row["target"]: (row["value"], row["source"], row["origin"].split(":")[0]) for row in study["rows"]}
    assert sources["uid"][1:] == ("SOPInstanceUID", "study_to_imagingstudy.yaml")
    assert all(row["source"] and row["origin"] for part in (order, study) for row in part["rows"])
    text = await gateway("explain", "order.hl7", folder=tmp_path)
    assert text.returncode == 0
    assert "OBR-18.1" in text.stdout


async def test_explain_reads_as_a_listener_does(tmp_path: Path) -> None:
    ports = configure(tmp_path)
    listeners = [{"name": "ris", "port": ports["hl7"]}, {"name": "old", "port": 0, "message_types": ["ADT"]}]
    configure(tmp_path, hl7={"listeners": listeners})
    (tmp_path / "order.hl7").write_bytes(orm())
    done = await gateway("explain", "order.hl7", folder=tmp_path)
    assert done.returncode == 0
    assert "rows without a value: " in done.stdout
    done = await gateway("explain", "order.hl7", "--listener", "old", folder=tmp_path)
    assert done.returncode == 1
    assert "as from old" in done.stdout.splitlines()[0]
    assert "would be answered AR" in done.stdout
    done = await gateway("explain", "order.hl7", "--listener", "new", folder=tmp_path)
    assert done.returncode == 2
    assert "there is no listener 'new'; the configuration has ris, old" in done.stderr


async def test_explain_names_what_a_message_would_leave_out(tmp_path: Path) -> None:
    configure(tmp_path)
    (tmp_path / "order.hl7").write_bytes(orm(start="24.11.2030"))
    text = await gateway("explain", "order.hl7", folder=tmp_path)
    assert "finding: OBR-27.4" in text.stdout
    assert "'24.11.2030' is not a date and time" in text.stdout


async def test_check_finds_one_port_under_two_keys_in_the_files_alone(tmp_path: Path) -> None:
    ports = configure(tmp_path)
    file = tmp_path / "gateway.yaml"
    file.write_text(file.read_text().replace(str(ports["http"]), str(ports["dicom"])))
    done = await gateway("check", "--offline", folder=tmp_path)
    assert done.returncode == 1
    assert f"127.0.0.1:{ports['dicom']} is already the port of " in done.stderr


async def test_explain_says_what_would_be_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.hl7").write_bytes(orm(modality="QQ"))
    (tmp_path / "note.txt").write_text("hello", encoding="utf-8")
    done = await gateway("explain", "bad.hl7", "note.txt", folder=tmp_path)
    assert done.returncode == 1
    assert "would be answered AE" in done.stdout
    assert "neither an HL7 message" in done.stdout


async def test_explain_an_empty_folder_and_long_identifiers(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = await gateway("explain", "empty", folder=tmp_path)
    assert done.returncode == 1
    assert "no HL7 message or DICOM file there" in done.stdout
    file = str(get_testdata_file("CT_small.dcm"))
    study = await gateway("explain", file, folder=tmp_path)
    uid = str(dcmread(file).StudyInstanceUID)
    assert f"urn:oid:{uid}" in study.stdout


async def test_run_show_parked_replay(tmp_path: Path) -> None:
    async with EhrSimulator() as ehr:
        ehr.manners = Manners(fail_next=1, status=422)
        # It settles once, when all that MPPS names is here: a second version would take the place of what is parked.
        ports = configure(tmp_path, ehrs=[{"name": "ehr", "url": ehr.url}], studies={"quiet_seconds": 60})
        async with served(tmp_path):
            sent = await gateway("simulate", "ris", "--port", str(ports["hl7"]), folder=tmp_path)
            assert sent.returncode == 0, sent.stderr
            accession = sent.stdout.split()[0]
            ask = ("simulate", "modality", "--mpps", "--port", str(ports["dicom"]))
            performed = await gateway(*ask, folder=tmp_path)
            assert "instances stored" in performed.stdout
            assert performed.stdout.strip().endswith("completed")
            parked = await until_parked(tmp_path)
            assert "HTTP 422" in parked
            number = parked.split()[0]
            assert number.startswith("d")
            (delivery,) = json.loads((await gateway("parked", "--json", folder=tmp_path)).stdout)["deliveries"]
            assert f"d{delivery['id']}" == number
            again = await gateway("replay", number, folder=tmp_path)
            assert again.stdout.strip() == f"{number}: due now"
            await until(lambda: ehr.resources("ImagingStudy"), seconds=START_SECONDS)
            shown = await gateway("show", accession, folder=tmp_path)
            assert shown.returncode == 0, shown.stderr
            as_json = json.loads((await gateway("show", accession, "--json", folder=tmp_path)).stdout)
            assert [one["accession"] for one in as_json["orders"]] == [accession]
            for station in ("order_intake", "worklist", "performed_step", "study_arrival", "ehr_delivery"):
                assert station in shown.stdout, shown.stdout
        found = await gateway("find", accession, folder=tmp_path)
        assert found.stdout.startswith(f"order 1: {accession}"), found.stderr
        hits = json.loads((await gateway("find", accession, "--json", folder=tmp_path)).stdout)
        assert [one["accession"] for one in hits["orders"]] == [accession]
        nothing = await gateway("find", accession, "--state", "CANCELED", folder=tmp_path)
        assert (nothing.returncode, nothing.stderr) == (1, "no order, patient, study or message is found by this\n")
        unknown = await gateway("show", "NOBODY", folder=tmp_path)
        assert unknown.returncode == 1
        assert "NOBODY" in unknown.stderr


async def test_show_escapes_what_a_sender_wrote(tmp_path: Path) -> None:
    ports = configure(tmp_path)
    async with served(tmp_path), MllpClient("127.0.0.1", ports["hl7"]) as ris:
        assert b"MSA|AA|" in await ris.send(orm(control_id="M\x1b[2J\u202e", charset="UNICODE UTF-8"))
        shown = await gateway("show", "ACC1", folder=tmp_path)
        as_json = await gateway("show", "ACC1", "--json", folder=tmp_path)
    assert r"ORM^O01 M\x1b[2J\u202e received" in shown.stdout
    assert all(line.isprintable() for line in (shown.stdout + as_json.stdout).splitlines())


async def test_parked_lists_what_can_be_mended_and_counts_the_rest(tmp_path: Path) -> None:
    ports = configure(tmp_path)
    async with served(tmp_path), MllpClient("127.0.0.1", ports["hl7"]) as ris:
        for number in range(3):
            await ris.send(orm(modality="QQ", control_id=f"WRONG{number}"))
            await ris.send(orm(control_id=f"OTHER{number}").replace(b"ORM^O01", b"ADT^A09", 1))
        lines = (await gateway("parked", "--most", "2", folder=tmp_path)).stdout.splitlines()
        assert [line.split()[0] for line in lines[:2]] == ["m5", "m3"]
        assert lines[2] == "... and 1 more messages (--most)"
        assert lines[3].startswith("3 ADT^A09: not served, last 20")
        assert lines[4] == "Mend the cause, reload or restart the gateway, then: gateway replay ID..."
        found = json.loads((await gateway("parked", "--most", "2", "--json", folder=tmp_path)).stdout)
        assert [row["id"] for row in found["messages"]] == [5, 3]
        await ris.send(orm(control_id="RIGHT"))
        again = await gateway("replay", "m5", "m99", "m7", folder=tmp_path)
        assert again.returncode == 1
        assert again.stderr.splitlines()[0].startswith("m5: AE, OBR-24.1: ")
        assert again.stderr.splitlines()[1] == "message 99: there is no message 99"
        assert again.stdout == "m7: AA\n", "the others are replayed all the same"
        assert (found["more_messages"], found["more_deliveries"], found["deliveries"]) == (1, 0, [])
        assert [(row["type"], row["count"]) for row in found["not_served"]] == [("ADT^A09", 3)]


async def test_what_is_parked_for_one_cause_is_replayed_at_once(tmp_path: Path) -> None:
    configure(tmp_path, ehrs=[{"name": "main", "url": "http://127.0.0.1:9/fhir"}])
    (tmp_path / "gateway.db").unlink(missing_ok=True)
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    for number in range(3):
        await store.write(partial(park, number=number, error=f"HTTP 422: no patient {number}"))
    await store.close()
    lines = (await gateway("parked", "--by-cause", folder=tmp_path)).stdout.splitlines()
    key, text = lines[0].split("  ", 1)
    assert text.startswith("3 x ehr:main: HTTP 422: no patient N  (")
    assert lines[1:] == [
        "      such as d3 of study 1.2.2", "      error not-found: the patient is not known Patient.identifier",
        "Mend the cause, then: gateway replay --cause KEY",
    ]  # fmt: skip
    done = await gateway("replay", "--cause", key, "--cause", "00000000", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, f"{key}: 3 deliveries, due now\n")
    assert done.stderr == "cause 00000000: nothing is parked for this cause\n"
    assert (await gateway("parked", "--by-cause", folder=tmp_path)).stdout == "Nothing is parked.\n"


def park(connection: Connection, number: int, error: str) -> None:
    kind, uid = delivery_to("main"), f"1.2.{number}"
    outbox.enqueue(connection, lane=Lane(kind, StudyInstanceUID(uid)), payload={}, due_at=1, now=1)
    [work] = outbox_claims.claim(connection, kind=kind, now=2, lease_micros=10, limit=1)
    issue = {
        "severity": "error", "code": "not-found", "text": "the patient is not known", "path": "Patient.identifier",
    }  # fmt: skip
    outbox_claims.fail(connection, work, Fate.PARK, now=3, due_at=3, outcome={"error": error, "issues": [issue]})


async def test_a_study_is_withdrawn_and_counts_again(tmp_path: Path) -> None:
    ct = Path(str(get_testdata_file("CT_small.dcm")))
    uid = str(dcmread(ct, stop_before_pixels=True).StudyInstanceUID)
    async with EhrSimulator() as ehr:
        ports = configure(tmp_path, ehrs=[{"name": "main", "url": ehr.url}])
        async with served(tmp_path):
            sent = await storescu(ports["dicom"], ct)
            assert sent.returncode == 0, sent.stderr

            def status() -> list[tuple[str, int]]:
                return [(one["status"], len(one.get("series", ()))) for one in ehr.resources("ImagingStudy")]

            async def waiting() -> int:
                [main] = json.loads((await gateway("receivers", "--json", folder=tmp_path)).stdout)
                return int(main["waiting"])

            await until(lambda: status() == [("available", 1)])
            await comes_true(waiting, lambda number: number == 0)  # until then the gateway does not know of the answer
            done = await gateway("withdraw", uid, "9.9", folder=tmp_path)
            text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "MOMENT", done.stdout)
            assert (done.returncode, text) == (1, f"{uid}: withdrawn since MOMENT; 1 delivery follows, to main\n")
            assert done.stderr == "9.9: there is no such study\n"
            await until(lambda: status() == [("entered-in-error", 0)])
            again = await gateway("withdraw", uid, folder=tmp_path)
            assert again.stdout == done.stdout.replace("; 1 delivery follows, to main", " already, nothing was done")
            undone = await gateway("withdraw", "--undo", "--json", uid, "9.9", folder=tmp_path)
            assert (undone.returncode, undone.stderr) == (1, "9.9: there is no such study\n")
            main = {"name": "main", "holds": True, "notified": True}
            assert json.loads(undone.stdout) == [
                {"study_uid": uid, "withdrawn_at": None, "changed": True, "receivers": [main], "deliveries": 1}
            ]
            await until(lambda: status() == [("available", 1)])


async def test_simulate_ris_tells_each_answer_and_how_it_ended(tmp_path: Path) -> None:
    taken = 0

    async def two_then_none(raw: bytes, _peer: MllpPeer) -> bytes | None:
        nonlocal taken
        taken += 1
        return b"MSH|^~\\&|GW||||20260101||ACK|1|P|2.3.1\rMSA|AA|1\r" if taken <= 2 else None

    server = MllpServer(two_then_none, MllpLimits(100_000, 10, 10, 5))
    await server.start("127.0.0.1", 0)
    done = await gateway("simulate", "ris", "--count", "5", "--port", str(server.port), folder=tmp_path)
    await server.stop(1)
    assert done.returncode == 1
    assert [line.split()[2] for line in done.stdout.splitlines()] == ["AA", "AA"]
    assert done.stderr.startswith("2 of 5 messages were answered AA; then 127.0.0.1:")
    assert len(done.stderr.splitlines()) == 1


async def test_simulate_ris_knows_its_choices(tmp_path: Path) -> None:
    assert set(get_args(Control)) == set(_ORDER_STATUS)
    for wrong in (("--control", "ZZ"), ("--seed", "100000")):
        done = await gateway("simulate", "ris", *wrong, folder=tmp_path)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


async def test_simulate_modality_asks_for_a_day(tmp_path: Path) -> None:
    ports = configure(tmp_path)
    async with served(tmp_path):
        await gateway("simulate", "ris", "--port", str(ports["hl7"]), folder=tmp_path)
        ask = ("simulate", "modality", "--no-perform", "--port", str(ports["dicom"]), "--date")
        today = f"{datetime.now(UTC) - timedelta(days=1):%Y%m%d}-{datetime.now(UTC):%Y%m%d}"
        assert (await gateway(*ask, today, folder=tmp_path)).stdout.startswith("1 items")
        assert (await gateway(*ask, "19990101", folder=tmp_path)).stdout.startswith("0 items")


async def until_parked(folder: Path) -> str:

    async def parked() -> str:
        done = await gateway("parked", folder=folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return str(await comes_true(parked, lambda shown: not shown.startswith("Nothing"), seconds=START_SECONDS))


async def test_started_twice_the_second_says_why_and_leaves(tmp_path: Path) -> None:
    configure(tmp_path)
    async with served(tmp_path):
        second = await gateway("run", folder=tmp_path)
        assert second.returncode == 1
        assert "another gateway works on" in second.stderr
        assert "Traceback" not in second.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stops_in_peace(tmp_path: Path, number: signal.Signals) -> None:
    ports = configure(tmp_path)
    async with served(tmp_path) as process:
        await gateway("simulate", "ris", "--port", str(ports["hl7"]), folder=tmp_path)
        process.signal(number)
        assert await process.ended() == 0
        assert "Traceback" not in process.errors


async def test_an_empty_folder_and_the_defaults(tmp_path: Path) -> None:
    env = {"GATEWAY_HL7__LISTENERS": '[{"port": 0}]', "GATEWAY_DICOM__PORT": "0", "GATEWAY_HTTP__PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        "env", "-C", tmp_path, *GATEWAY, "run", stdout=asyncio.subprocess.PIPE, env={**os.environ, **env}
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            assert (await process.stdout.readline()).startswith(b"ready")
        assert (tmp_path / "gateway.db").stat().st_mode & 0o777 == 0o600
    finally:
        process.terminate()
        code = await process.wait()
    assert code == 0


async def test_db_upgrade_and_wrong_usage(tmp_path: Path) -> None:
    first = await gateway("db", "upgrade", folder=tmp_path)
    assert first.stdout.startswith("schema (none) -> ")
    second = await gateway("db", "upgrade", folder=tmp_path)
    assert "nothing to do" in second.stdout
    assert (await gateway("replay", "x9", folder=tmp_path)).returncode == 2
    assert (await gateway("explain", "missing.hl7", folder=tmp_path)).returncode == 2
    missing = await gateway("replay", "d99", folder=tmp_path)
    assert (missing.returncode, missing.stderr.strip()) == (1, "delivery 99: there is no delivery 99")


async def test_db_upgrade_waits_for_no_gateway_that_serves(tmp_path: Path) -> None:
    configure(tmp_path)
    async with served(tmp_path):
        done = await gateway("db", "upgrade", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "another gateway works on" in done.stderr


def test_every_command_has_help_with_an_example() -> None:
    for words in (
        ("run",), ("demo",), ("check",), ("explain",), ("show",), ("parked",), ("replay",), ("db", "upgrade"),
        ("simulate", "ris"), ("simulate", "modality"), ("simulate", "ehr"),
    ):  # fmt: skip
        assert "Example: gateway " in CliRunner().invoke(cli, [*words, "--help"]).output, words


async def test_a_database_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    for command in (("show", "A1"), ("parked",), ("replay", "d1")):
        done = await gateway(*command, folder=tmp_path)
        assert (done.returncode, done.stdout) == (1, ""), command
        assert f"there is no database {tmp_path}/gateway.db" in done.stderr
        assert list(tmp_path.iterdir()) == []


async def test_a_file_that_is_no_database_is_told_from_one(tmp_path: Path) -> None:
    (tmp_path / "gateway.db").write_text("no database at all, but long enough to be read as one" * 20)
    done = await gateway("db", "upgrade", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip() == "the database refuses: file is not a database"


async def test_the_simulated_ehr_says_that_its_port_is_taken(tmp_path: Path) -> None:
    async with EhrSimulator() as ehr:
        port = ehr.url.split(":")[2].split("/")[0]
        done = await gateway("simulate", "ehr", "--port", port, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot listen on 127.0.0.1:{port}")


@pytest.mark.parametrize("keyword", ["SeriesInstanceUID", "SOPInstanceUID", "StudyInstanceUID"])
async def test_explain_names_the_uid_that_a_file_lacks(tmp_path: Path, keyword: str) -> None:
    dataset = dcmread(str(get_testdata_file("CT_small.dcm")))
    del dataset[keyword]
    dataset.save_as(tmp_path / "broken.dcm")
    done = await gateway("explain", "broken.dcm", folder=tmp_path)
    assert done.returncode == 1
    assert "PROBLEM" in done.stdout
    assert f"has no {keyword}" in done.stdout.replace("Study Instance UID", "StudyInstanceUID")


async def test_check_tells_of_keys_that_cannot_be_used_and_types_that_are_never_applied(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    tls = {"certificate": str(tmp_path / "none.pem"), "key": str(tmp_path / "none.key")}
    listener = {"tls": tls, "message_types": ["ORM"], "sources": [{"message_types": ["ADT^A40", "ADT^A09", "MDM"]}]}
    file.write_text(yaml.safe_dump({"hl7": {"listeners": [listener]}}), encoding="utf-8")
    checked = await gateway("check", "--offline", "-c", file, folder=tmp_path)
    assert checked.returncode == 1
    assert "hl7.listeners ris: tls.certificate: " in checked.stderr
    assert "cannot be used (No such file or directory)" in checked.stderr
    notes = [line for line in checked.stdout.splitlines() if "is not served" in line]
    assert [line.split("message_types: ")[1] for line in notes] == ["ADT^A09 is not served", "MDM is not served"]
