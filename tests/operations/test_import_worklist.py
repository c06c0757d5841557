"""`gateway import-worklist`: another server's files become orders."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydicom import Dataset, dcmwrite
from pydicom.sequence import Sequence
from typer.testing import CliRunner

from gateway.assembly import process as app
from gateway.cli.commands import cli
from gateway.config.tree import load
from tests.journey.messages import orm
from tests.journey.test_order_intake import send, told
from tests.journey.worklist_files import item, write
from tests.peers.dcmtk import findscu

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What a file holds is judged before the database; what it comes to is written by the statements of orders."""

DATE = "ScheduledProcedureStepStartDate"
STEP_ID = "ScheduledProcedureStepID"
STEP = "ScheduledProcedureStepSequence[0]."


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Path:
    file = tmp_path / "gateway.yaml"
    settings: dict[str, Any] = {
        "site": {"patient_id_issuer": "HOSP"},
        "database": {"url": database_url},
        "hl7": {"listeners": [{"name": "ris", "port": 0, "conformance": "off"}]},
        "dicom": {"port": 0},
        "http": {"port": 0},
    }
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return file


async def imported(site: Path, folder: Path, *options: str, code: int = 0) -> Counter[str]:
    command = ["import-worklist", str(folder), "-c", str(site), "--json", *options]
    done = await asyncio.to_thread(CliRunner().invoke, cli, command)
    assert done.exit_code == code, done.output
    return Counter(one["what"] for one in json.loads(done.stdout))


async def report(site: Path, folder: Path) -> list[dict[str, Any]]:
    command = ["import-worklist", str(folder), "-c", str(site), "--json"]
    done = await asyncio.to_thread(CliRunner().invoke, cli, command)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    shown = [line for line in done.stderr.splitlines() if line.startswith(str(folder))]
    assert shown == [f"{one['file']}: {text}" for one in found for text in one["findings"]]
    return found


async def offered(gateway: app.Running, keywords: Iterable[str], *, accession: str = "W1") -> dict[str, Any]:
    """These attributes of the only item of an order, those of its step too."""
    of_step = {"ScheduledStationAETitle"}
    keys = [f"{STEP}{one}" if one in of_step else one for one in keywords]
    [found] = (await findscu(gateway.dicom_port, f"AccessionNumber={accession}", *keys)).items
    step = found.ScheduledProcedureStepSequence[0] if of_step & set(keywords) else Dataset()
    return {one: _shown((step if one in of_step else found)[one].value) for one in keywords}


def _shown(value: Any) -> Any:
    if isinstance(value, Sequence):
        return [item.CodeValue for item in value]
    return value if isinstance(value, int) else str(value or "")


async def complaints(site: Path, folder: Path) -> str:
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["import-worklist", str(folder), "-c", str(site)])
    return done.stderr


def bare(one: Dataset) -> bytes:
    """As some programs write their files: a data set in implicit VR little endian, and nothing before it."""
    written = BytesIO()
    dcmwrite(written, one, implicit_vr=True, little_endian=True)
    return written.getvalue()


ITEMS = [
    item(1, PatientName="Müller^Jörg"),
    item(2, Modality="MR", ScheduledStationAETitle=["MR1", "MR2"]),
    item(3, SpecificCharacterSet="ISO_IR 192", PatientName="Yamada^Tarou=山田^太郎"),
]


async def test_files_are_orders_once_and_for_all(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "worklists"
    write(folder / "CALLED", *ITEMS)
    (folder / "notes.txt").write_text("not a worklist file")
    assert await imported(site, folder, "--dry-run") == {"created": 3}
    assert await imported(site, folder) == {"created": 3}
    assert await imported(site, folder) == {"already there": 3}
    async with app.running(load(site)) as gateway:
        found = {one.AccessionNumber: one for one in (await findscu(
            gateway.dicom_port, "AccessionNumber", "PatientName", "IssuerOfPatientID", f"{STEP}ScheduledStationAETitle",
        )).items}  # fmt: skip
        assert {key: str(one.PatientName) for key, one in found.items()} == {
            "W1": "Müller^Jörg", "W2": "Muster^Max", "W3": "Yamada^Tarou=山田^太郎",
        }  # fmt: skip
        assert list(found["W2"].ScheduledProcedureStepSequence[0].ScheduledStationAETitle) == ["MR1", "MR2"]
        assert found["W1"].IssuerOfPatientID == "HOSP"


@sqlite
async def test_a_file_that_was_changed_changes_its_order(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "worklists"
    write(folder, item(1))
    assert await imported(site, folder) == {"created": 1}
    write(folder, item(1, ScheduledProcedureStepStartTime="100000"))
    assert await imported(site, folder) == {"updated": 1}
    async with app.running(load(site)) as gateway:
        [found] = (await findscu(gateway.dicom_port, f"{STEP}ScheduledProcedureStepStartTime")).items
    assert found.ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartTime == "100000"


def ris(control: str, number: int, **fields: str) -> bytes:
    numbers = {
        "accession": f"W{number}", "procedure": f"RP{number}", "step": f"S{number}", "patient": f"P{number}^^^HOSP",
        "control_id": f"{control}{number}", "placer": f"PL{number}", "filler": f"FI{number}",
    }  # fmt: skip
    return orm(control=control, **(numbers | fields))


@pytest.mark.parametrize("by_uid", [True, False])
async def test_the_ris_goes_on_with_what_was_imported(site: Path, tmp_path: Path, by_uid: bool) -> None:
    """By its Study Instance UID, or, when the RIS sends none, by the accession number of --sender."""
    folder = tmp_path / "worklists"
    write(folder, item(1), item(2), item(3))
    assert await imported(site, folder, "--sender", "HOSP") == {"created": 3}
    uids = {n: f"1.2.826.0.1.3680043.8.498.{n}" if by_uid else "" for n in (1, 2, 3)}
    async with app.running(load(site)) as gateway:
        answers = await send(
            gateway,
            ris("CA", 1, study_uid=uids[1]),
            ris("XO", 2, study_uid=uids[2], start="20301201101500", modality="CT"),
        )
        assert [told(one)[0] for one in answers] == ["AA", "AA"]
        found = {one.AccessionNumber: one for one in (await findscu(
            gateway.dicom_port, "AccessionNumber", f"{STEP}ScheduledProcedureStepStartDate", "StudyInstanceUID",
        )).items}  # fmt: skip
    assert set(found) == {"W2", "W3"}
    assert found["W2"].ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate == "20301201"
    assert found["W2"].StudyInstanceUID == "1.2.826.0.1.3680043.8.498.2"
    # What the RIS has said counts for more than any file, the same or another one.
    write(folder, item(1, PatientSex="O"), item(2, PatientSex="O"), item(3))
    assert await imported(site, folder, "--sender", "HOSP") == {"known from the RIS": 2, "already there": 1}


async def test_whose_numbers_they_are_need_not_be_told(site: Path, tmp_path: Path) -> None:
    """Accession number and Patient ID will do; the accession number alone, which two senders may have given, not."""
    folder = tmp_path / "worklists"
    numbers = {"PlacerOrderNumberImagingServiceRequest": "PL2", "FillerOrderNumberImagingServiceRequest": "FI2"}
    write(folder, item(1), item(2, **numbers), item(3), item(4))
    told_before = ris("NW", 4, study_uid="")
    async with app.running(load(site)) as gateway:
        await send(gateway, told_before)
    assert await imported(site, folder) == {"created": 3, "known from the RIS": 1}
    async with app.running(load(site)) as gateway:
        answers = await send(
            gateway,
            ris("XO", 1, study_uid="", procedure="", step="", start="20301201101500"),
            ris("CA", 2, study_uid=""),
            ris("NW", 3, study_uid="", patient="STRANGER^^^HOSP"),
            ris("XO", 1, study_uid="", procedure="", step="", start="20301202101500", control_id="again",
                at="20260124120000"),
        )  # fmt: skip
        assert [told(one)[0] for one in answers] == ["AA", "AA", "AA", "AA"]
        items = (await findscu(gateway.dicom_port, "AccessionNumber", "PatientID", "StudyInstanceUID",
                               f"{STEP}{DATE}")).items  # fmt: skip
    found = {(one.AccessionNumber, one.PatientID): one for one in items}
    assert sorted(found) == [("W1", "P1"), ("W3", "P3"), ("W3", "STRANGER"), ("W4", "P4")]
    assert len(items) == 4
    assert found["W1", "P1"].ScheduledProcedureStepSequence[0][DATE].value == "20301202"
    assert found["W1", "P1"].StudyInstanceUID == "1.2.826.0.1.3680043.8.498.1"


@sqlite
async def test_steps_of_one_procedure_in_one_file_or_several(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "worklists"
    both = item(2)
    [step] = item(2, ScheduledProcedureStepID="S2b", Modality="MR").ScheduledProcedureStepSequence
    both.ScheduledProcedureStepSequence.append(step)
    write(folder, item(1), item(1, ScheduledProcedureStepID="S1b", Modality="MR"), both)
    assert await imported(site, folder) == {"created": 2, "updated": 1}
    async with app.running(load(site)) as gateway:
        items = (await findscu(gateway.dicom_port, "StudyInstanceUID", f"{STEP}ScheduledProcedureStepID")).items
    steps = sorted(
        (str(one.StudyInstanceUID)[-1], one.ScheduledProcedureStepSequence[0][STEP_ID].value) for one in items
    )
    assert steps == [("1", "S1"), ("1", "S1b"), ("2", "S2"), ("2", "S2b")]


@sqlite
async def test_files_are_only_read_and_need_no_preamble(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "worklists"
    folder.mkdir()
    (folder / "bare.wl").write_bytes(bare(item(1, PatientName="Müller^Jörg")))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert await imported(site, folder) == {"created": 1}
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before
    async with app.running(load(site)) as gateway:
        [found] = (await findscu(gateway.dicom_port, "PatientName")).items
    assert str(found.PatientName) == "Müller^Jörg"


@sqlite
async def test_of_files_that_contradict_each_other_the_last_written_counts(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "worklists"
    write(folder, item(1, PatientID="P", PatientName="New^Name"), item(2, PatientID="P", PatientName="Old^Name"))
    os.utime(folder / "item0.wl", (2_000_000_000, 2_000_000_000))
    os.utime(folder / "item1.wl", (1_900_000_000, 1_900_000_000))
    assert await imported(site, folder) == {"created": 2}
    async with app.running(load(site)) as gateway:
        items = (await findscu(gateway.dicom_port, "PatientName")).items
    assert [str(one.PatientName) for one in items] == ["New^Name", "New^Name"]


@sqlite
async def test_replaying_what_was_imported_changes_nothing(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "worklists"
    write(folder, item(1))
    assert await imported(site, folder) == {"created": 1}
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["replay", "--dry-run", "m1", "-c", str(site)])
    assert "0 steps and 0 answers would differ" in done.stdout
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["replay", "m1", "-c", str(site)])
    assert (done.exit_code, done.stdout) == (0, "m1: AA\n"), done.output
    async with app.running(load(site)) as gateway:
        assert len((await findscu(gateway.dicom_port, "AccessionNumber=W1")).items) == 1


BROKEN: tuple[tuple[dict[str, Any], str], ...] = (
    ({"PatientID": None}, "PatientID: has no value; give the file one"),
    ({"PatientName": ""}, "PatientName: has no value; give the file one"),
    ({"Modality": None}, "Modality: has no value; give the file one"),
    ({DATE: "24.11.2030"}, f"{DATE}: '24.11.2030' is not a date"),
    ({"AccessionNumber": "W" * 17}, "AccessionNumber: 17 characters do not fit SH (16)"),
    ({"PatientName": "M\N{REPLACEMENT CHARACTER}ller", "SpecificCharacterSet": "ISO_IR 192"},
     "PatientName: holds bytes that are no text of ISO_IR 192; mend SpecificCharacterSet"),
    ({"PatientName": "Müller", "SpecificCharacterSet": "ISO_IR 999"},
     "SpecificCharacterSet: 'ISO_IR 999' is no Defined Term"),
)  # fmt: skip


@sqlite
async def test_what_cannot_be_taken_is_named_and_the_others_are(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "worklists"
    write(folder, item(1), *(item(number, **broken) for number, (broken, _) in enumerate(BROKEN, 2)))
    (folder / "empty.wl").touch()
    (folder / "text.wl").write_text("no DICOM at all, but long enough to be looked at")
    assert await imported(site, folder, code=1) == {"created": 1, "not taken": len(BROKEN) + 2}
    told = await complaints(site, folder)
    for number, (_, why) in enumerate(BROKEN, 1):
        assert f"item{number}.wl: {why}" in told
    assert "empty.wl: data set: holds no DICOM data set" in told


@sqlite
async def test_what_only_its_bytes_tell_is_named(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "worklists"
    folder.mkdir()
    whole = bare(item(1, PatientName="Müller^Jörg"))
    (folder / "cut.wl").write_bytes(whole[:-10])
    twice = item(4)
    twice.ScheduledProcedureStepSequence.append(twice.ScheduledProcedureStepSequence[0])
    (folder / "twice.wl").write_bytes(bare(twice))
    (folder / "whole.wl").write_bytes(whole)
    (folder / "zzz.wl").write_bytes(bare(item(5, StudyInstanceUID="1.2.826.0.1.3680043.8.498.1")))
    assert await imported(site, folder, code=1) == {"created": 1, "not taken": 3}
    told = await complaints(site, folder)
    assert "cut.wl: data set: ends in the middle of an element; the file was cut off" in told
    assert "twice.wl: ScheduledProcedureStepID: two items have 'S4'; give each its own" in told
    assert "zzz.wl: PatientID: another patient's order has this accession number or Study Instance UID" in told


def code(value: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, "99RIS", "CT head"
    return made


ODD: tuple[tuple[dict[str, Any], str, dict[str, Any]], ...] = (
    ({"ScheduledStationAETitle": ["CT1", "A" * 17]}, "ScheduledStationAETitle", {"ScheduledStationAETitle": "CT1"}),
    ({"PatientBirthDate": "19801301"}, "PatientBirthDate", {"PatientBirthDate": ""}),
    ({"PregnancyStatus": 4, "AdmissionID": "7" * 70}, "AdmissionID", {"AdmissionID": "", "PregnancyStatus": 4}),
    ({"RequestedProcedureCodeSequence": [code("CTH"), code("X" * 17)]},
     "RequestedProcedureCodeSequence.CodeValue", {"RequestedProcedureCodeSequence": ["CTH"]}),
    ({"SpecificCharacterSet": "ISO_IR 999"}, "SpecificCharacterSet", {"PatientName": "Muster^Max"}),
)  # fmt: skip


@sqlite
async def test_an_odd_value_costs_only_itself(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "worklists"
    write(folder, *(item(number, **{"PatientName": "Muster^Max", **odd}) for number, (odd, _, _) in enumerate(ODD)))
    taken = {Path(one["file"]).name: one for one in await report(site, folder)}
    async with app.running(load(site)) as gateway:
        for number, (_, place, kept) in enumerate(ODD):
            one = taken[f"item{number}.wl"]
            assert (one["what"], [text.partition(": ")[0] for text in one["findings"]]) == ("created", [place])
            assert await offered(gateway, kept, accession=f"W{number}") == kept, place


@sqlite
async def test_a_study_uid_that_is_none_is_derived(site: Path, tmp_path: Path) -> None:
    write(tmp_path / "worklists", item(1, StudyInstanceUID="1.2.abc"))
    [taken] = await report(site, tmp_path / "worklists")
    assert taken["findings"] == ["StudyInstanceUID: '1.2.abc' is not a UID; it is left out"]
    async with app.running(load(site)) as gateway:
        assert (await offered(gateway, ["StudyInstanceUID"]))["StudyInstanceUID"].startswith("2.25.")


@pytest.mark.parametrize("codec", ["utf-8", "cp1252"])
@sqlite
async def test_text_without_a_character_set_is_read_as_hl7_reads_it(site: Path, tmp_path: Path, codec: str) -> None:
    """Š, Ž and € are C1 controls to whoever reads ISO 8859-1."""
    name = "NOVAKOVIŠ^Ž€"
    raw = bare(item(1, PatientName="NAME", SpecificCharacterSet="ISO_IR 6"))
    at = raw.index(b"\x10\x00\x10\x00\x04\x00\x00\x00NAME")
    written = name.encode(codec) + b" " * (len(name.encode(codec)) % 2)
    (tmp_path / "one.wl").write_bytes(raw[: at + 4] + len(written).to_bytes(4, "little") + written + raw[at + 12 :])
    [taken] = await report(site, tmp_path / "one.wl")
    assert [text.partition(": ")[0] for text in taken["findings"]] == ["SpecificCharacterSet"]
    async with app.running(load(site)) as gateway:
        assert (await offered(gateway, ["PatientName"]))["PatientName"] == name


@sqlite
def test_a_folder_that_is_not_there(site: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["import-worklist", str(tmp_path / "nowhere"), "-c", str(site)])
    assert done.exit_code == 1
    assert "there is no such file or folder" in str(done.exception)
