"""`scanners.yaml`: what single scanners need that their queries do not say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from gateway import mapping
from gateway.config.dicom import Dicom
from gateway.config.tree import MappingsSection
from gateway.errors import ConfigError
from gateway.mapping import scanners
from tests.journey.messages import orm
from tests.journey.running import Start, sqlite
from tests.journey.test_order_intake import send
from tests.peers.dcmtk import findscu

STEP = "ScheduledProcedureStepSequence[0]."


def overlay(folder: Path, rows: str) -> MappingsSection:
    (folder / "scanners.yaml").write_text(rows, encoding="utf-8")
    (folder / "order_to_worklist.yaml").write_text("step:\n  ScheduledStationAETitle: ORC-13.1\n", encoding="utf-8")
    return MappingsSection(overlay=folder)


TODAY = datetime.now(UTC)
"""When the orders were made: the tests may begin before midnight and end after."""


def order(number: int, *, station: str = "", day: int = 0, **fields: str) -> bytes:
    start = f"{TODAY + timedelta(days=day):%Y%m%d}120000"
    raw = orm(
        control_id=f"M{number}", patient=f"PAT{number}^^^HOSP", placer=f"P{number}", filler=f"F{number}",
        accession=f"ACC{number}", procedure=f"RP{number}", step=f"S{number}", study_uid=f"1.2.{number}",
        start=start, **fields,
    )  # fmt: skip
    lines = raw.split(b"\r")
    orc = lines[3].split(b"|") + [b""] * 5
    orc[13] = station.encode()
    lines[3] = b"|".join(orc)
    return b"\r".join(lines)


ORDERS = [
    order(1, station="CT1"),
    order(2, station="CT2"),
    order(3, modality="MR", station="MR1"),
    order(4, station="CT1", day=10),
    order(5),
]


async def told(port: int, calling_ae: str, *keys: str) -> set[str]:
    found = await findscu(port, "AccessionNumber", f"{STEP}Modality", *keys, calling_ae=calling_ae)
    assert "Success" in found.status, found.output
    return {str(item.AccessionNumber) for item in found.items}


@sqlite
async def test_a_rule_stands_in_for_what_the_query_leaves_open(start: Start, tmp_path: Path) -> None:
    rows = """
CT?:
  stations: [calling_ae]
  days_before: 1
  days_after: 2
MR*: {modalities: [MR]}
"""
    async with start(mappings=overlay(tmp_path, rows)) as gateway:
        await send(gateway, *ORDERS)
        port = gateway.dicom_port
        assert await told(port, "ANY") == {"ACC1", "ACC2", "ACC3", "ACC4", "ACC5"}
        assert await told(port, "CT1") == {"ACC1", "ACC5"}
        assert await told(port, "CT2") == {"ACC2", "ACC5"}
        assert await told(port, "MR7") == {"ACC3"}
        # What the query says itself holds.
        assert await told(port, "CT1", f"{STEP}ScheduledStationAETitle=CT2") == {"ACC2", "ACC5"}
        day = f"{TODAY + timedelta(days=10):%Y%m%d}"
        assert await told(port, "CT1", f"{STEP}ScheduledProcedureStepStartDate={day}") == {"ACC4"}
        assert await told(port, "MR7", f"{STEP}Modality=CT") == {"ACC1", "ACC2", "ACC4", "ACC5"}


@sqlite
async def test_names_and_characters_that_a_scanner_cannot_take(start: Start, tmp_path: Path) -> None:
    rows = """
OLD:
  character_sets: ["ISO_IR 100"]
  unencodable: transliterate
  names: plain
  never: [PatientComments]
  always: {RequestedProcedurePriority: LOW, ScheduledProcedureStepSequence.ScheduledStationName: ROOM}
MID: {names: alphabetic}
"""
    name = "Yamada^Tarou^^^^^^A~山田^太郎^^^^^^I"
    async with start(mappings=overlay(tmp_path, rows)) as gateway:
        await send(
            gateway,
            order(1, name=name, charset="UNICODE UTF-8"),
            order(2, name="ДВОРЖАК^АНТОН", charset="UNICODE UTF-8"),
            order(3, name="MÜLLER^JÖRG", charset="UNICODE UTF-8"),
        )
        asked = ("PatientName", "PatientID", "PatientComments", f"{STEP}Modality")
        old = {item.PatientID: item for item in (await findscu(gateway.dicom_port, *asked, calling_ae="OLD")).items}
        mid = {item.PatientID: item for item in (await findscu(gateway.dicom_port, *asked, calling_ae="MID")).items}
    assert {key: str(item.PatientName) for key, item in old.items()} == {
        "PAT1": "Yamada Tarou",
        "PAT2": "DVORZHAK ANTON",
        "PAT3": "MÜLLER JÖRG",
    }
    assert {str(item.get("SpecificCharacterSet", "")) for item in old.values()} == {"", "ISO_IR 100"}
    assert not any("PatientComments" in item for item in old.values())
    assert {str(item.RequestedProcedurePriority) for item in old.values()} == {"ROUTINE"}
    steps = [item.ScheduledProcedureStepSequence[0] for item in old.values()]
    assert {str(step.ScheduledStationName) for step in steps} == {"ROOM"}
    assert str(mid["PAT1"].PatientName) == "Yamada^Tarou"
    assert all("PatientComments" in item for item in mid.values())


@sqlite
async def test_the_limit_of_a_scanner(start: Start, tmp_path: Path) -> None:
    async with start(mappings=overlay(tmp_path, "SMALL: {max_matches: 2}\n")) as gateway:
        await send(gateway, *ORDERS)
        found = await findscu(gateway.dicom_port, "AccessionNumber", calling_ae="SMALL")
        assert len(found.items) == 2
        assert "OutOfResources" in found.status.replace(" ", "")


async def test_started_steps_within_their_grace(start: Start) -> None:
    hidden = ["STARTED", "CANCELED"]
    for grace, shown in ((3600.0, 1), (0.0, 0)):
        dicom = Dicom(port=0, hidden_states=hidden, started_grace_seconds=grace)
        async with start(dicom=dicom) as gateway:
            await send(gateway, order(1))

            def begin(connection: object) -> None:
                from sqlalchemy import Connection, update

                from gateway.clock import now
                from gateway.store.schema import steps

                assert isinstance(connection, Connection)
                connection.execute(update(steps).values(state="STARTED", updated_at=now()))

            await gateway.store.write(begin)
            assert len((await findscu(gateway.dicom_port, "AccessionNumber")).items) == shown
            status = f"{STEP}ScheduledProcedureStepStatus=STARTED"
            assert len((await findscu(gateway.dicom_port, status)).items) == 1


@sqlite
async def test_keys_that_nobody_knows_are_warned_of_when_wanted(start: Start) -> None:
    for warns, pending in ((False, "Pending"), (True, "Pending: WarningUnsupportedOptionalKeys")):
        async with start(dicom=Dicom(port=0, warn_of_unknown_keys=warns)) as gateway:
            await send(gateway, order(1))
            found = await findscu(gateway.dicom_port, "AccessionNumber", "PatientReligiousPreference")
            assert f"({pending})" in found.output
            found = await findscu(gateway.dicom_port, "AccessionNumber", f"{STEP}Modality")
            assert "(Pending)" in found.output


WRONG_VALUES = [
    ("PatientBirthDate", "20260230", "'20260230' is not a date (YYYYMMDD)"),
    ("ScheduledProcedureStepSequence.ScheduledProcedureStepStartTime", "noon", "'noon' is not a time (HHMMSS)"),
    ("Modality", "mr$", "'MR$' is not a code string"),
    ("Modality", "ANGIOSCOPY_AND_MORE", "19 characters do not fit CS (16)"),
    ("StudyInstanceUID", "1.02.3", "'1.02.3' is not a UID"),
    ("StudyInstanceUID", "1.2\\\\1.3", "'1.2\\\\1.3' has 2 values, and the attribute takes one"),
    ("NumberOfTemporalPositions", "many", "'many' is not a whole number"),
    ("PregnancyStatus", "70000", "'70000' is not a whole number from 0 to 65535"),
    ("PatientWeight", "heavy", "'heavy' is not a decimal number"),
    ("PatientAge", "40", "'40' is not an age such as 040Y"),
    ("ScheduledProcedureStepStartDateTime", "2026-01-23", "'2026-01-23' is not a date and time"),
    ("RequestedProcedureCodeSequence", "CT1", "has the value representation SQ, which no text can fill"),
    ("PixelData", "1", "has the value representation OB or OW, which no text can fill"),
    ("AffectedSOPClassUID", "1.2.3", "is no attribute of a data set"),
    ("SpecificCharacterSet", "ISO_IR 100", "is set by the gateway itself"),
]


@sqlite
async def test_values_of_every_kind_are_told(start: Start, tmp_path: Path) -> None:
    """What a file gives as text goes out as its value representation wants it."""
    rows = """
OLD:
  always:
    PregnancyStatus: "4"
    PatientWeight: "72.5"
    PatientAge: 040Y
    PatientSex: o
    OtherPatientIDs: "A1\\\\B2"
    PatientComments: ""
"""
    async with start(mappings=overlay(tmp_path, rows)) as gateway:
        await send(gateway, order(1))
        [item] = (await findscu(gateway.dicom_port, "AccessionNumber", calling_ae="OLD")).items
    assert (item.PregnancyStatus, str(item.PatientWeight), item.PatientAge) == (4, "72.5", "040Y")
    assert list(item.OtherPatientIDs) == ["A1", "B2"]
    assert item.PatientSex == "M"
    assert item.PatientComments in ("", None)


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ("CT1: {modality: [CT]}", ":1: CT1: modality: no such key; did you mean 'modalities'?"),
        ("CT1: {days_after: x}", ":1: CT1: days_after: Input should be a valid integer (it is 'x')"),
        ("\nCT1: {never: [PatientNam]}", ":2: CT1: PatientNam: no DICOM keyword"),
        ("CT1: {unencodable: transliterate}", ":1: CT1: unencodable: transliterate needs character_sets"),
        ("CT1: {}\nCT1: {}", ":2: CT1 stands twice"),
        ("- CT1", ":1: rows are AE titles, each with keys below it"),
        ("CT1: {always: {A.B.PatientName: x}}", "an attribute of the item, or one of ScheduledProcedureStepSequence"),
        *(
            (f'CT1: {{always: {{{keyword}: "{value}"}}}}', f":1: CT1: always: {keyword}: {fault}")
            for keyword, value, fault in WRONG_VALUES
        ),
        (
            "CT1: {unencodable: transliterate, character_sets: [ISO_IR 100], always: {PatientComments: Прага}}",
            ":1: CT1: always: PatientComments: none of character_sets can write 'Прага'",
        ),
        ("CT1: {character_sets: [LATIN]}", ":1: CT1: character_sets: 'LATIN' is no Defined Term"),
        ("CT1: [", "cannot be read"),
        ("CT1: {note: 2026-02-31}", "cannot be read: day is out of range for month"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, rows: str, fault: str) -> None:
    (tmp_path / "scanners.yaml").write_text(rows, encoding="utf-8")
    _, faults = scanners.read([mapping.shipped(), tmp_path])
    assert any(fault in one for one in faults), faults
    assert all(one.startswith(f"{tmp_path.name}/scanners.yaml") for one in faults)


def test_a_site_takes_a_row_away(tmp_path: Path) -> None:
    ours, site = tmp_path / "ours", tmp_path / "site"
    for folder, rows in ((ours, {"CT1": {"modalities": ["CT"]}, "MR1": {}}), (site, {"CT1": "off", "US1": {}})):
        folder.mkdir()
        (folder / "scanners.yaml").write_text(yaml.safe_dump(rows), encoding="utf-8")
    rules, faults = scanners.read([ours, site])
    assert (faults, [rule.pattern for rule in rules]) == ([], ["US1", "MR1"])


@sqlite
async def test_a_mistake_keeps_the_gateway_from_starting(start: Start, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"scanners\.yaml:1: CT1: station: no such key"):
        async with start(mappings=overlay(tmp_path, "CT1: {station: [X]}")):
            pass


def test_the_former_name_of_the_file_is_read_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "stations.yaml").write_text("CT1: {modalities: [CT]}\n")
    rules, faults = scanners.read([mapping.shipped(), site])
    assert faults == []
    assert [rule.modalities for rule in rules if rule.pattern == "CT1"] == [("CT",)]
    assert "site/stations.yaml is called scanners.yaml now; rename the file" in caplog.text
    (site / "scanners.yaml").write_text("CT1: {modalities: [MR]}\n")
    _, faults = scanners.read([mapping.shipped(), site])
    assert faults == ["site/stations.yaml: was renamed to scanners.yaml, which is there too; remove one of them"]
