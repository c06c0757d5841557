"""The same items and the same questions to DCMTK's wlmscpfs and to the gateway: every difference is decided here.

Compared are which steps are told, by accession number and Scheduled Procedure Step ID, and each attribute of them.
"""

from __future__ import annotations

import asyncio
import copy
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined,unused-ignore]

from gateway.assembly.mappings import load_mappings
from gateway.assembly.orders import scheduling_policy
from gateway.assembly.readers import make_reader
from gateway.config.tree import Config
from gateway.operations.import_worklist import CREATED, Import, files_in
from gateway.store import Store
from tests.journey.running import Start, config_of, sqlite
from tests.journey.worklist_files import OF_STEP, item, write
from tests.peers.dcmtk import dcmtk, wlmscpfs
from tests.peers.pynetdicom_scu import associate

EXAMPLES = Path("/usr/share/doc/dcmtk/examples")


def code(value: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, "99RIS", meaning
    return made


ITEMS = [
    item(1, PatientName="SMITH^JOHN", Modality="CT", ScheduledStationAETitle="CT1", IssuerOfPatientID="HOSP",
         PatientWeight="71.5", PregnancyStatus=2, Allergies="LATEX", MedicalAlerts=["MRSA", "Pacemaker"],
         PatientComments="first line\r\nsecond line", CurrentPatientLocation="WARD 1", PatientState="awake",
         PatientTransportArrangements="bed", InstitutionName="Klinik", PreMedication="none",
         ScheduledProcedureStepStatus="ARRIVED", PlacerOrderNumberImagingServiceRequest="PL1",
         FillerOrderNumberImagingServiceRequest="FI1", RequestedProcedureCodeSequence=[code("CTH", "CT Kopf")],
         ScheduledProtocolCodeSequence=[code("P1", "Plain"), code("P2", "Contrast")]),
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
    item(11, PatientName="Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046", Modality="DX",
         ScheduledStationAETitle="DX1", ScheduledProcedureStepStartDate="20320101", SpecificCharacterSet="ISO_IR 192"),
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
    {"RequestingPhysician": "Smith*"}, {"RequestingPhysician": "Nobody*"}, {"AdmissionID": "*"},
    {"PatientBirthDate": "19690101-19710101"}, {"PatientSex": "X"}, {"IssuerOfPatientID": "OTHER"},
    {"RequestedProcedureID": "NONE"}, {"RequestedProcedurePriority": "LOW"}, {"PatientWeight": "71.5"},
    {"CurrentPatientLocation": "W*"}, {"ScheduledProcedureStepLocation": "B1"}, {"Allergies": "LATEX"},
    {"ScheduledProcedureStepDescription": "Step 1*"}, {"ScheduledProcedureStepStatus": "STARTED"},
    # components and component groups of names
    {"PatientName": "^JOHN"}, {"PatientName": "*^JOHN"}, {"PatientName": "SMITH^^ANN"}, {"PatientName": "SMITH *"},
    {"PatientName": "SMITH^JOHN=*"}, {"PatientName": "?"}, {"PatientName": "**"}, {"PatientName": "Yamada*"},
    {"PatientName": "*=\u5c71\u7530*", "SpecificCharacterSet": "ISO_IR 192"},
    {"PatientName": "\u5c71\u7530*", "SpecificCharacterSet": "ISO_IR 192"}, {"PatientName": " SMITH^JOHN"},
    # padding, several values, wildcards alone
    {"PatientID": "?"}, {"PatientID": "**"}, {"PatientID": " P1"}, {"AccessionNumber": "*1"}, {"Modality": "CT "},
    {AET: ["CT1", "CT2"]}, {"Modality": ["CT", "MR"]}, {AET: "CT*"}, {D: "20301124 "},
    {D: "20301124 - 20301126"}, {D: "20301126-20301124"}, {D: "2030"}, {D: "*"}, {D: "-"}, {T: "*"}, {T: "0930-"},
    {T: "09:30"}, {T: "093000.000000"}, {T: "0930-0930"}, {D: "20301124-20301124", T: "0930-1200"},
    {D: "20301124-", T: "-1200"}, {D: "20301124", T: "09"},
]  # fmt: skip

RETURNED = (
    "PatientBirthDate", "PatientSex", "StudyInstanceUID", "RequestingPhysician", "ReferringPhysicianName",
    "RequestedProcedureDescription", "RequestedProcedureID", "RequestedProcedurePriority", "AdmissionID",
    "MedicalAlerts", "Allergies", "PatientWeight", "PregnancyStatus", "CurrentPatientLocation", "IssuerOfPatientID",
    "ConfidentialityConstraintOnPatientDataDescription", "PatientTransportArrangements", "PatientState", "SpecialNeeds",
    "NamesOfIntendedRecipientsOfResults", "PatientComments", "EthnicGroup", "InstitutionName",
    "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest", "PatientAddress",
    "RequestedProcedureCodeSequence", "ReferencedStudySequence", "ReferencedPatientSequence",
    *sorted(OF_STEP),
)  # fmt: skip
"""What a scanner may want to be told beside the keys."""

Steps = set[tuple[str, str]]
"""(accession number, Scheduled Procedure Step ID); without the sequence, the second is empty."""


def w(*numbers: int) -> Steps:
    return {(f"W{number}", f"S{number}") for number in numbers}


ALL = w(*range(1, 12))


NAMES = "K.6.1.3.2: a provider may compare names without regard to case and accents; ours says so"
TAIL = "PS3.5 6.2.1.1: trailing empty components may be left out, of the key and of the name"
MORE = "K.6-1: it asks for single value matching; wildcards are more than that, and what no value holds cannot mislead"
KEY = "C.2.2.1.3: an optional key that is supported is compared; wlmscpfs 3.6.7 does not support it"
MANY = "C.2.2.2.1: a key has one value; of several any may match, rather than none"
LONE = "C.2.2.2.4: a lone asterisk matches everything; DA and TM have no wildcards, what is meant is plain"
GROUPS = "PS3.5 6.2.1.2: a name has three groups of components, and a key without `=` may mean any of them"
DECIDED: list[tuple[dict[str, Any], Steps | str, Steps | str, str]] = [
    ({"PatientName": "SMITH*"}, w(1, 2, 9), w(1, 2, 4, 9), NAMES),
    ({"PatientName": "smith*"}, w(4), w(1, 2, 4, 9), NAMES),
    ({"PatientName": "MULLER*"}, w(), w(3), NAMES),
    ({"PatientName": "müller^jürgen", "SpecificCharacterSet": "ISO_IR 100"}, w(), w(3), NAMES),
    ({"PatientName": "GARCIA*"}, w(), w(8), NAMES),
    ({PHYSICIAN: "DOE^JANE"}, w(), ALL - w(6), NAMES),
    ({"PatientName": "SMITH^JOHN^^"}, w(), w(1), TAIL),
    ({"PatientName": "LEE^*"}, w(), w(7), TAIL),
    ({"PatientID": "P?"}, w(), w(1, 2, 3, 5, 8, 9), MORE),
    ({"PatientID": "?"}, w(), w(7), MORE),
    ({AET: "CT*"}, w(), w(1, 3, 6), MORE),
    ({"Modality": ["CT", "MR"]}, "A900", w(1, 2, 3, 6), MANY),
    ({D: "*"}, "A900", ALL, LONE),
    ({T: "*"}, "A900", ALL, LONE),
    ({D: "-"}, ALL, "A900", "C.2.2.2.5: a range has a beginning, an end or both; what is meant is not plain"),
    ({D: "20301124 - 20301126"}, "A900", w(1, 2, 3, 4, 5, 7, 9),
     "PS3.5 6.2: a blank may only stand behind; what is meant is plain"),
    ({T: "09:30"}, "A900", w(1, 3, 6, 7, 9, 11), "PS3.5 6.2: the older form of a TM is to be understood"),
    ({"PatientName": "\u5c71\u7530*", "SpecificCharacterSet": "ISO_IR 192"}, w(), w(11), GROUPS),
    ({"PatientName": " SMITH^JOHN"}, w(), w(1), "PS3.5 6.2: padding stands behind; what is meant is plain"),
    ({"ScheduledProcedureStepDescription": "Step 1*"}, ALL, w(1, 10, 11), KEY),
    ({"ScheduledProcedureStepStatus": "STARTED"}, ALL, w(), KEY),
    ({"PatientID": "P*"}, w(), ALL - w(6, 7), MORE),
    ({AET: "CT?"}, w(), w(1, 3, 6), MORE),
    ({"Modality": "C?"}, w(), w(1, 3, 5, 6), MORE),
    ({"Modality": "ct"}, "A900", w(1, 3, 6), "PS3.5 6.2: a CS has no lower case; what is meant is plain"),
    ({"ScheduledProcedureStepID": "S2"}, ALL, w(2), KEY),
    ({"StudyInstanceUID": "1.2.826.0.1.3680043.8.498.2"}, ALL, w(2), KEY),
    ({"StudyInstanceUID": ["1.2.826.0.1.3680043.8.498.2", "1.2.826.0.1.3680043.8.498.5"]}, ALL, w(2, 5), KEY),
    ({"RequestedProcedureDescription": "Procedure 1*"}, ALL, w(1, 10, 11), KEY),
    ({"ScheduledStationName": "NONE"}, ALL, w(), KEY),
    ({T: "-09"}, w(4, 10), ALL - w(2, 5, 8), "C.2.2.2.5: a bound of less precision reaches as far as it can: 09:59:59"),
    ({D: "20301124-20301126", T: "1000-"}, w(2, 3, 4, 5), w(2, 5),
     "C.2.2.2.5.4: ranges of two forms are not one interval; each is compared by itself"),
    ({D: "2030.11.24"}, "A900", w(1, 2, 5, 7, 9), "PS3.5 6.2: the older form of a DA is to be understood"),
]  # fmt: skip
"""A query, what wlmscpfs tells, what the gateway tells, and what decides. In each the gateway does what it should."""


STEP = "ScheduledProcedureStepSequence."
EMPTY = "PS3.5 7.4.5: an empty element of type 3 says what an absent one does; it was not asked for by name"
STATE = "K.6-1, PS3.3 C.4.10: of type 3; the state is the gateway's own, what a file says of it is not read"
ATTRIBUTES: list[tuple[str, str | None, str | None, str]] = [
    ("SpecificCharacterSet", "ISO_IR 100", None, "K.4.1.1.3: it is needed where an answer is not ASCII"),
    ("IssuerOfPatientID", "", "HOSP", "K.6-1: of type 3; the file has none, the import gave `site.patient_id_issuer`"),
    ("PregnancyStatus", "4", "", "PS3.5 7.4.3: of type 2, so empty when it is not known; 4 would be a statement"),
    (f"{STEP}ScheduledProcedureStepStatus", "", "SCHEDULED", STATE),
    (f"{STEP}ScheduledProcedureStepStatus", "ARRIVED", "SCHEDULED", STATE),
    ("RequestedProcedureCodeSequence.CodingSchemeVersion", "", None, EMPTY),
    (f"{STEP}ScheduledProtocolCodeSequence.CodingSchemeVersion", "", None, EMPTY),
    (f"{STEP}CommentsOnTheScheduledProcedureStep", "", None, EMPTY),
    (f"{STEP}ScheduledProcedureStepEndDate", "", None, EMPTY),
    (f"{STEP}ScheduledProcedureStepEndTime", "", None, EMPTY),
    (f"{STEP}PreMedication", "", None, "PS3.5 7.4.4: of type 2C, so absent when there is none"),
    (f"{STEP}RequestedContrastAgent", "", None, "PS3.5 7.4.4: of type 2C, so absent when there is none"),
]
"""An attribute, what wlmscpfs answers, what the gateway answers (None: it is not there), and what decides. In each the
gateway does what it may or should."""
OURS_TO_MEND: list[tuple[str, str | None, str | None, str]] = [
    ("RequestedProcedureCodeSequence", None, "no items", "PS3.5 7.4.2: of type 1C, so never empty: None is right"),
    (f"{STEP}ScheduledProtocolCodeSequence", None, "no items",
     "PS3.5 7.4.2: of type 1C, so never empty: None is right"),
    (f"{STEP}ScheduledPerformingPhysicianName", "", None,
     "K.2.2.1.2, K.6-1: of type 2, so empty in a whole step when it is not known: '' is right"),
]  # fmt: skip
"""As `ATTRIBUTES`, but there wlmscpfs is right. Nothing fails when the gateway is."""


def asked(query: dict[str, Any]) -> Dataset:
    identifier, step = Dataset(), Dataset()
    for keyword in ("AccessionNumber", "PatientName", "PatientID"):
        setattr(identifier, keyword, "")
    for keyword in ("Modality", D, T, "ScheduledProcedureStepID"):
        setattr(step, keyword, "")
    for keyword, value in query.items():
        setattr(step if keyword in OF_STEP else identifier, keyword, value)
    identifier.ScheduledProcedureStepSequence = [step]
    return identifier


def of_everything() -> dict[str, Dataset]:
    """Universal questions, by how they ask for the step."""
    whole = asked({})
    for keyword in RETURNED:
        into = whole.ScheduledProcedureStepSequence[0] if keyword in OF_STEP else whole
        setattr(into, keyword, [] if keyword.endswith("Sequence") else None)
    forms = {form: copy.deepcopy(whole) for form in ("each attribute", "no items", "an empty item", "no sequence")}
    forms["no items"].ScheduledProcedureStepSequence = []
    forms["an empty item"].ScheduledProcedureStepSequence = [Dataset()]
    del forms["no sequence"].ScheduledProcedureStepSequence
    return forms


@dataclass(frozen=True, slots=True)
class Told:
    status: int
    items: dict[tuple[str, str], dict[str, str]]
    """By step: the values by their paths, each sequence also as `no items` when it has none."""

    @property
    def steps(self) -> Steps | str:
        return set(self.items) if self.status == 0 else f"{self.status:04X}"


def told(port: int, ae_title: str, identifiers: list[Dataset]) -> list[Told]:
    entity = AE(ae_title="ASKS")
    entity.dimse_timeout = entity.acse_timeout = 60
    contexts = [build_context(ModalityWorklistInformationFind, ExplicitVRLittleEndian)]
    association = associate(entity, port, contexts=contexts, called=ae_title)
    assert association.is_established
    found = []
    for identifier in identifiers:
        items, status = [], -1
        for answered, one in association.send_c_find(identifier, ModalityWorklistInformationFind):
            status = answered.get("Status", -1)
            if one is not None:
                items.append(one)
        by_step = {(str(one.AccessionNumber), _step_id(one)): dict(_values(one)) for one in items}
        assert len(by_step) == len(items), "a step was told twice"
        found.append(Told(status, by_step))
    association.release()
    return found


def _step_id(answer: Dataset) -> str:
    [step] = answer.get("ScheduledProcedureStepSequence") or [Dataset()]
    return str(step.get("ScheduledProcedureStepID", ""))


def _values(item: Dataset, path: str = "") -> Iterator[tuple[str, str]]:
    for element in item:
        name = f"{path}{element.keyword}"
        if element.VR == "SQ":
            if not element.value:
                yield name, "no items"
            for inner in element.value:
                yield from _values(inner, f"{name}.")
        else:
            many = element.value if element.VM > 1 else [element.value]
            yield name, "\\".join("" if one is None else str(one) for one in many)


async def both(start: Start, config: Config, folder: Path, identifiers: list[Dataset]) -> tuple[list[Told], list[Told]]:
    mappings = load_mappings(config)
    store = await Store.open(config.database.url)
    try:
        taken = [
            one
            async for one in Import(
                store, make_reader(config, mappings), scheduling_policy(config), lambda: 1, ""
            ).take(files_in(folder))
        ]
        assert {one.what for one in taken} == {CREATED}, taken
    finally:
        await store.close()
    with wlmscpfs(map(dcmread, files_in(folder))) as port:
        theirs = await asyncio.to_thread(told, port, "WORKLIST", identifiers)
    async with start() as gateway:
        ours = await asyncio.to_thread(told, gateway.dicom_port, "GATEWAY", identifiers)
    return theirs, ours


def different(theirs: Iterable[Told], ours: Iterable[Told]) -> set[tuple[str, str | None, str | None]]:
    """Attributes of steps that both tell, with the value of each."""
    return {
        (path, one.items[step].get(path), other.items[step].get(path))
        for one, other in zip(theirs, ours, strict=True)
        for step in one.items.keys() & other.items.keys()
        for path in one.items[step].keys() | other.items[step].keys()
        if one.items[step].get(path) != other.items[step].get(path)
    }


@sqlite
async def test_every_difference_is_decided(start: Start, database_url: str, tmp_path: Path) -> None:
    write(tmp_path / "worklists", *ITEMS)
    whole = of_everything()
    identifiers = [*map(asked, QUERIES), *whole.values()]
    theirs, ours = await both(start, config_of(database_url), tmp_path / "worklists", identifiers)
    asked_for = [*map(repr, QUERIES), *whole]
    assert len(set(asked_for)) == len(asked_for) >= 60
    differences = {
        query: (one.steps, other.steps)
        for query, one, other in zip(asked_for, theirs, ours, strict=True)
        if one.steps != other.steps
    }
    assert differences == {repr(query): (theirs, ours) for query, theirs, ours, _ in DECIDED}
    mended = {(path, theirs, ours) for path, theirs, ours, _ in OURS_TO_MEND}
    assert different(theirs, ours) - mended == {(path, theirs, ours) for path, theirs, ours, _ in ATTRIBUTES}


@sqlite
async def test_a_file_of_two_steps(start: Start, database_url: str, tmp_path: Path) -> None:
    """PS3.4 K.6.1.2.2: an answer has one step, so two answers. wlmscpfs leaves the whole file out."""
    two = item(2)
    [more] = item(2, ScheduledProcedureStepID="S2b", Modality="OT").ScheduledProcedureStepSequence
    two.ScheduledProcedureStepSequence.append(more)
    write(tmp_path / "worklists", item(1), two)
    identifiers = [asked({}), asked({"Modality": "OT"})]
    theirs, ours = await both(start, config_of(database_url), tmp_path / "worklists", identifiers)
    assert [one.steps for one in theirs] == [w(1), w()]
    assert [one.steps for one in ours] == [w(1, 2) | {("W2", "S2b")}, {("W2", "S2b")}]


@sqlite
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
        for step in query.get("ScheduledProcedureStepSequence") or ():
            step.ScheduledProcedureStepID = step.get("ScheduledProcedureStepID") or ""
    theirs, ours = await both(start, config_of(database_url), folder, list(queries.values()))
    assert {name: one.steps for name, one in zip(queries, theirs, strict=True)} == {
        name: one.steps for name, one in zip(queries, ours, strict=True)
    }
    decided = {(path, theirs, ours) for path, theirs, ours, _ in (*ATTRIBUTES, *OURS_TO_MEND)}
    # Four of the items are one patient's, each with other allergies; the gateway knows a patient once.
    assert {path for path, _, _ in different(theirs, ours) - decided} == {"Allergies"}


def test_the_document_has_each_difference() -> None:
    document = (Path(__file__).parents[2] / "docs" / "worklist-comparison.md").read_text(encoding="utf-8")
    assert f"the same {len(QUERIES) + len(of_everything())} questions" in document
    for query, _, _, clause in DECIDED:
        value = next(iter(query.values()))
        assert f"`{value if isinstance(value, str) else chr(92).join(value)}`" in document
        assert clause.partition(":")[0] in document
    for path, _, _, clause in (*ATTRIBUTES, *OURS_TO_MEND):
        assert f"`{path.rpartition('.')[2]}`" in document
        assert clause.partition(":")[0] in document
