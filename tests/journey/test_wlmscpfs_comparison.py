"""The same items and the same questions to DCMTK's wlmscpfs and to the gateway: every difference is decided here."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined,unused-ignore]

from gateway import app
from gateway.config import Config
from gateway.import_worklist import CREATED, Import, files_in
from gateway.store import Store
from gateway.wire.dimse._pynetdicom import reactor_held
from tests.journey.running import Start, config_of
from tests.journey.worklist_files import OF_STEP, item, write
from tests.peers.dcmtk import dcmtk, wlmscpfs

EXAMPLES = Path("/usr/share/doc/dcmtk/examples")

ITEMS = [
    item(1, PatientName="SMITH^JOHN", Modality="CT", ScheduledStationAETitle="CT1"),
    item(2, PatientName="SMITH^JANE^ANN", Modality="MR", ScheduledStationAETitle="MR1",
         ScheduledProcedureStepStartTime="120000"),
    item(3, PatientName="Müller^Jürgen", Modality="CT", ScheduledStationAETitle=["CT1", "CT2"],
         ScheduledProcedureStepStartDate="20301125"),
    item(4, PatientName="smithson^amy", PatientID="P-4", Modality="US", ScheduledStationAETitle="US1",
         ScheduledProcedureStepStartDate="20301126", ScheduledProcedureStepStartTime="000000"),
    item(5, PatientName="O'NEIL^TIM", Modality="CR", ScheduledStationAETitle="CR1", PatientSex="F",
         ScheduledProcedureStepStartTime="235959", AdmissionID="V5"),
    item(6, PatientName="VAN DER BERG^PIET", PatientID="AB*6", Modality="CT", ScheduledStationAETitle="CT2",
         ScheduledProcedureStepStartDate="20301201", ScheduledPerformingPhysicianName=""),
    item(7, PatientName="LEE", PatientID="7", Modality="NM", ScheduledStationAETitle="NM1",
         ScheduledProcedureStepStartTime="0930", RequestedProcedurePriority="STAT"),
    item(8, PatientName="GARC\u00cdA^JOS\u00c9", Modality="XA", ScheduledStationAETitle="XA1",
         ScheduledProcedureStepStartDate="20310101", ScheduledProcedureStepStartTime="100000"),
    item(9, PatientName="SMITH^JOHN^^DR", Modality="MG", ScheduledStationAETitle="MG1", PatientBirthDate=""),
    item(10, PatientName="DOE^JANE", Modality="PT", ScheduledStationAETitle="PT1",
         ScheduledProcedureStepStartDate="20291231", ScheduledProcedureStepStartTime="080000"),
]  # fmt: skip

D, T = "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"
AET, PHYSICIAN = "ScheduledStationAETitle", "ScheduledPerformingPhysicianName"
QUERIES: list[dict[str, Any]] = [
    {}, {"PatientName": ""}, {"PatientName": "*"}, {"PatientID": "*"}, {"Modality": "*", AET: "*"},
    # names
    {"PatientName": "SMITH*"}, {"PatientName": "smith*"}, {"PatientName": "SMITH^JOHN"}, {"PatientName": "SMITH"},
    {"PatientName": "SMITH^J*"}, {"PatientName": "*JANE*"}, {"PatientName": "SM?TH^JOHN"}, {"PatientName": "S*^J*"},
    {"PatientName": "SMITH^JOHN^^"}, {"PatientName": "LEE^*"}, {"PatientName": "LEE"}, {"PatientName": "LEE "},
    {"PatientName": "O'NEIL*"}, {"PatientName": "VAN*"}, {"PatientName": "[S]MITH*"},
    {"PatientName": "Müller*", "SpecificCharacterSet": "ISO_IR 100"}, {"PatientName": "MULLER*"},
    {"PatientName": "müller^jürgen", "SpecificCharacterSet": "ISO_IR 100"}, {"PatientName": "GARCIA*"},
    {"PatientName": "NOBODY"},
    # identifiers
    {"PatientID": "P1"}, {"PatientID": "p1"}, {"PatientID": "P?"}, {"PatientID": "P*"}, {"PatientID": "7"},
    {"PatientID": "AB*6"}, {"PatientID": "P1 "}, {"PatientID": "P%"},
    {"AccessionNumber": "W1"}, {"AccessionNumber": "W*"}, {"AccessionNumber": "w1"}, {"AccessionNumber": "W1?"},
    {"RequestedProcedureID": "RP3"}, {"RequestedProcedureID": "RP?"}, {"ScheduledProcedureStepID": "S2"},
    {"StudyInstanceUID": "1.2.826.0.1.3680043.8.498.2"}, {"StudyInstanceUID": ["1.2.826.0.1.3680043.8.498.2",
                                                                              "1.2.826.0.1.3680043.8.498.5"]},
    {"AdmissionID": "V5"}, {"AdmissionID": "V*"},
    # station and modality
    {AET: "CT1"}, {AET: "CT2"}, {AET: "ct1"}, {AET: "CT?"}, {AET: "CT1 "}, {AET: "NONE"},
    {"Modality": "CT"}, {"Modality": "ct"}, {"Modality": "C?"}, {"Modality": "CT", AET: "CT1"},
    {"Modality": "MR", AET: "CT1"},
    # dates and times
    {D: "20301124"}, {D: "20301124-20301126"}, {D: "20301125-"}, {D: "-20301124"}, {D: "20991231"},
    {D: "20301124", T: "093000"}, {D: "20301124", T: "0900-1000"}, {T: "0930"}, {T: "120000-"}, {T: "-080000"},
    {T: "09"}, {T: "0900-0959"}, {T: "-09"},
    {D: "20301124-20301126", T: "1200-0100"}, {D: "20301124-", T: "1200-"}, {D: "-20301125", T: "-0900"},
    {D: "20301124-20301126", T: "120000"}, {D: "20301124-20301126", T: "1000-"},
    {D: "2030.11.24"},
    # physicians, optional keys
    {PHYSICIAN: "Doe*"}, {PHYSICIAN: "DOE^JANE"}, {PHYSICIAN: "*"}, {PHYSICIAN: "Nobody"},
    {"ReferringPhysicianName": "Jones*"}, {"ReferringPhysicianName": "Nobody*"},
    {"RequestedProcedureDescription": "Procedure 1*"}, {"RequestedProcedurePriority": "STAT"},
    {"PatientSex": "F"}, {"PatientBirthDate": "19700101"}, {"ScheduledStationName": "NONE"},
    {"CommentsOnTheScheduledProcedureStep": "X"}, {"Modality": "CT", "PatientName": "SMITH*", D: "20301124"},
]  # fmt: skip

ALL = {f"W{number}" for number in range(1, 11)}


def w(*numbers: int) -> set[str]:
    return {f"W{number}" for number in numbers}


NAMES = "K.6.1.3.2: a provider may compare names without regard to case and accents; ours says so"
TAIL = "PS3.5 6.2.1.1: trailing empty components may be left out, of the key and of the name"
MORE = "K.6-1: it asks for single value matching; wildcards are more than that, and what no value holds cannot mislead"
KEY = "C.2.2.1.3: an optional key that is supported is compared; wlmscpfs 3.6.7 does not support it"
DECIDED: list[tuple[dict[str, Any], set[str] | str, set[str] | str, str]] = [
    ({"PatientName": "SMITH*"}, w(1, 2, 9), w(1, 2, 4, 9), NAMES),
    ({"PatientName": "smith*"}, w(4), w(1, 2, 4, 9), NAMES),
    ({"PatientName": "MULLER*"}, w(), w(3), NAMES),
    ({"PatientName": "müller^jürgen", "SpecificCharacterSet": "ISO_IR 100"}, w(), w(3), NAMES),
    ({"PatientName": "GARCIA*"}, w(), w(8), NAMES),
    ({PHYSICIAN: "DOE^JANE"}, w(), ALL - w(6), NAMES),
    ({"PatientName": "SMITH^JOHN^^"}, w(), w(1), TAIL),
    ({"PatientName": "LEE^*"}, w(), w(7), TAIL),
    ({"PatientID": "P?"}, w(), w(1, 2, 3, 5, 8, 9), MORE),
    ({"PatientID": "P*"}, w(), ALL - w(6, 7), MORE),
    ({AET: "CT?"}, w(), w(1, 3, 6), MORE),
    ({"Modality": "C?"}, w(), w(1, 3, 5, 6), MORE),
    ({"Modality": "ct"}, "A900", w(1, 3, 6), "PS3.5 6.2: a CS has no lower case; what is meant is plain"),
    ({"ScheduledProcedureStepID": "S2"}, ALL, w(2), KEY),
    ({"StudyInstanceUID": "1.2.826.0.1.3680043.8.498.2"}, ALL, w(2), KEY),
    ({"StudyInstanceUID": ["1.2.826.0.1.3680043.8.498.2", "1.2.826.0.1.3680043.8.498.5"]}, ALL, w(2, 5), KEY),
    ({"RequestedProcedureDescription": "Procedure 1*"}, ALL, w(1, 10), KEY),
    ({"ScheduledStationName": "NONE"}, ALL, w(), KEY),
    ({T: "-09"}, w(4, 10), ALL - w(2, 5, 8), "C.2.2.2.5: a bound of less precision reaches as far as it can: 09:59:59"),
    ({D: "20301124-20301126", T: "1000-"}, w(2, 3, 4, 5), w(2, 5),
     "C.2.2.2.5.4: ranges of two forms are not one interval; each is compared by itself"),
    ({D: "2030.11.24"}, "A900", w(1, 2, 5, 7, 9), "PS3.5 6.2: the older form of a DA is to be understood"),
]  # fmt: skip
"""A query, what wlmscpfs tells, what the gateway tells, and what decides. In each the gateway does what it should."""


def asked(query: dict[str, Any]) -> Dataset:
    identifier, step = Dataset(), Dataset()
    for keyword in ("AccessionNumber", "PatientName", "PatientID"):
        setattr(identifier, keyword, "")
    for keyword in ("Modality", D, T):
        setattr(step, keyword, "")
    for keyword, value in query.items():
        setattr(step if keyword in OF_STEP else identifier, keyword, value)
    identifier.ScheduledProcedureStepSequence = [step]
    return identifier


def told(port: int, ae_title: str, identifiers: list[Dataset]) -> list[tuple[set[str], list[Dataset], int]]:
    entity = AE(ae_title="ASKS")
    entity.dimse_timeout = entity.acse_timeout = 20
    contexts = [build_context(ModalityWorklistInformationFind, ExplicitVRLittleEndian)]
    association = entity.associate("127.0.0.1", port, contexts=contexts, ae_title=ae_title)
    assert association.is_established
    found = []
    with reactor_held(association):
        for identifier in identifiers:
            items, status = [], -1
            for answered, one in association.send_c_find(identifier, ModalityWorklistInformationFind):
                status = answered.get("Status", -1)
                if one is not None:
                    items.append(one)
            found.append(({str(one.AccessionNumber) for one in items if "AccessionNumber" in one}, items, status))
        association.release()
    return found


async def both(start: Start, config: Config, folder: Path, identifiers: list[Dataset]) -> tuple[list[Any], list[Any]]:
    mappings = app.load_mappings(config)
    store = await Store.open(config.database.url)
    try:
        taken = [one async for one in Import(config, store, mappings, lambda: 1, "").take(files_in(folder))]
        assert {one.what for one in taken} == {CREATED}, taken
    finally:
        await store.close()
    with wlmscpfs(map(dcmread, files_in(folder))) as port:
        theirs = await asyncio.to_thread(told, port, "WORKLIST", identifiers)
    async with start() as gateway:
        ours = await asyncio.to_thread(told, gateway.dicom_port, "GATEWAY", identifiers)
    return theirs, ours


async def test_every_difference_is_decided(start: Start, database_url: str, tmp_path: Path) -> None:
    write(tmp_path / "worklists", *ITEMS)
    identifiers = [asked(query) for query in QUERIES]
    assert len(QUERIES) >= 60
    theirs, ours = await both(start, config_of(database_url), tmp_path / "worklists", identifiers)
    differences = {}
    for query, one_told, other_told in zip(QUERIES, theirs, ours, strict=True):
        (dcmtk_told, _, dcmtk_status), (gateway_told, _, status) = one_told, other_told
        one = dcmtk_told if dcmtk_status == 0 else f"{dcmtk_status:04X}"
        other = gateway_told if status == 0 else f"{status:04X}"
        if one != other:
            differences[repr(query)] = (one, other)
    assert differences == {repr(query): (theirs, ours) for query, theirs, ours, _ in DECIDED}


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="Debian's examples of DCMTK are not there")
async def test_the_examples_of_dcmtk(start: Start, database_url: str, tmp_path: Path) -> None:
    def converted(dump: Path, file: Path) -> Dataset:
        subprocess.run([dcmtk("dump2dcm"), "-q", dump, file], check=True)
        return dcmread(file, force=True)

    folder = tmp_path / "worklists"
    folder.mkdir()
    items = [
        converted(dump, folder / f"{dump.stem}.wl") for dump in sorted((EXAMPLES / "wlistdb" / "OFFIS").glob("*.dump"))
    ]
    queries = {
        dump.stem: converted(dump, tmp_path / dump.stem) for dump in sorted((EXAMPLES / "wlistqry").glob("*.dump"))
    }
    assert (len(items), len(queries)) == (10, 13)
    for query in queries.values():
        query.AccessionNumber = query.get("AccessionNumber") or ""
    theirs, ours = await both(start, config_of(database_url), folder, list(queries.values()))
    differences = {
        name: (one[0], other[0])
        for name, one, other in zip(queries, theirs, ours, strict=True)
        if one[0] != other[0] or one[2] != other[2]
    }
    assert differences == {}


def test_the_document_has_each_difference() -> None:
    document = (Path(__file__).parents[2] / "docs" / "worklist-comparison.md").read_text(encoding="utf-8")
    for query, _, _, clause in DECIDED:
        value = next(iter(query.values()))
        assert f"`{value if isinstance(value, str) else chr(92).join(value)}`" in document
        assert clause.partition(":")[0] in document
