"""Attributes that are newer than 2023, from HL7 to the scanner: asked by DCMTK and pynetdicom, and kept in MPPS."""

from __future__ import annotations

import asyncio

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined,unused-ignore]

from gateway.config.hl7 import Hl7, Listener
from tests.journey.messages import adt, orm
from tests.journey.modality import begin, modality_of
from tests.journey.running import Start
from tests.journey.test_order_intake import send, told
from tests.peers.dcmtk import findscu
from tests.web.dicomweb.client import client_of
from tests.wire.dimse.peers import associated

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

GSP = "GSP|1|S||76691-5^Gender identity^LN|446151000124109^Identifies as male gender^SCT|20220715"
PRONOUNS = "GSP|2|S||90778-2^Personal pronouns^LN|LA29520-6^^LN"
GSC = "GSC|1|S||female-typical^Apply female-typical setting^SexParameterForClinicalUseCS||OBR^4||Hormonal treatment"
NAMES = "MÜSTER^MAX^^^^^L~MÜSTER^ALEX^^^^^N"
NEWER = {
    "00100011": "PersonNamesToUseSequence",
    "00100014": "ThirdPersonPronounsSequence",
    "00100041": "GenderIdentitySequence",
    "00100043": "SexParametersForClinicalUseCategorySequence",
    "00102161": "EthnicGroupCodeSequence",
    "00102162": "EthnicGroups",
}


def order(**fields: str) -> bytes:
    """An ORM^O01 of HL7 2.3.1 with the segments of HL7 2.9.1 after PID."""
    raw = orm(name=NAMES, charset="UNICODE UTF-8", **fields)
    raw = raw.replace(b"||19800102|M", b"||19800102|M||2106-3^White^CDCREC~X^Local")
    return raw.replace(b"\rPV1", f"\r{GSP}\r{PRONOUNS}\r{GSC}\rPV1".encode())


def shown(item: Dataset) -> None:
    """What every scanner that asks is answered."""
    assert (item.PatientName, item.PatientSex) == ("MÜSTER^MAX", "M")
    assert item.SpecificCharacterSet == "ISO_IR 100"
    assert [one.NameToUse for one in item.PersonNamesToUseSequence] == ["ALEX MÜSTER"]
    [pronouns], [gender] = item.ThirdPersonPronounsSequence, item.GenderIdentitySequence
    assert pronouns.PronounCodeSequence[0].CodeValue == "LA29520-6"
    assert gender.GenderIdentityCodeSequence[0].CodeMeaning == "Identifies as male gender"
    assert gender.EffectiveStartDateTime == "20220715"
    [parameters] = item.SexParametersForClinicalUseCategorySequence
    assert parameters.SexParametersForClinicalUseCategoryCodeSequence[0].CodeValue == "131230"
    assert parameters.SexParametersForClinicalUseCategoryComment == "Hormonal treatment"
    assert [*item.EthnicGroups] == ["White", "Local"]
    assert [one.CodeValue for one in item.EthnicGroupCodeSequence] == ["2106-3", "X"]


@pytest.mark.parametrize("syntax", ["-xe", "-xi"])
async def test_dcmtk_is_answered_the_newer_attributes_that_it_asks_for(start: Start, syntax: str) -> None:
    """Its dictionary does not have them either: they travel as UN, or without a VR."""
    async with start() as gateway:
        assert told((await send(gateway, order()))[0])[0] == "AA"
        keys = [f"({tag[:4]},{tag[4:]})" for tag in NEWER]
        found = await findscu(gateway.dicom_port, "PatientName", "PatientSex", *keys, options=("-W", syntax))
        [item] = found.items
        shown(item)
        [plain] = (await findscu(gateway.dicom_port, "PatientName", "PatientSex")).items
        assert {element.keyword for element in plain} == {"SpecificCharacterSet", "PatientName", "PatientSex"}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
async def test_pynetdicom_asks_for_parts_of_items(start: Start, syntax: str) -> None:
    asked = Dataset()
    asked.PatientName = asked.PatientSex = ""
    for keyword in NEWER.values():
        setattr(asked, keyword, [] if keyword.endswith("Sequence") else "")
    part, code = Dataset(), Dataset()
    code.CodeMeaning = ""
    part.GenderIdentityCodeSequence = [code]
    part.GenderIdentityComment = ""
    asked_part = Dataset()
    asked_part.GenderIdentitySequence = [part]

    def query(identifier: Dataset) -> list[Dataset]:
        with associated(gateway.dicom_port, build_context(ModalityWorklistInformationFind, syntax)) as association:
            answers = association.send_c_find(identifier, ModalityWorklistInformationFind)
            return [item for _, item in answers if item is not None]

    async with start() as gateway:
        await send(gateway, order())
        [whole] = await asyncio.to_thread(query, asked)
        shown(whole)
        [partly] = await asyncio.to_thread(query, asked_part)
    [gender] = partly.GenderIdentitySequence
    assert [element.keyword for element in gender] == ["GenderIdentityCodeSequence", "GenderIdentityComment"]
    assert [element.keyword for element in gender.GenderIdentityCodeSequence[0]] == ["CodeMeaning"]


async def test_a_registration_states_them_for_its_patients_orders(start: Start) -> None:
    """ADT^A08; what it takes back is gone, and the sex is what PID-8 states."""
    update = adt("A08", name="MUSTER^MAX^^^^^L~^ALEX^^^^^N", at="20260123130000", visit=f"{GSP}\r{PRONOUNS}\rPV1|1|O")
    back = adt("A08", control_id="3", at="20260123140000", visit=f"{GSP.replace('|S|', '|D|')}\rPV1|1|O")
    keys = ("PatientName", "(0010,0011)", "(0010,0014)", "(0010,0041)", "PatientSex")
    async with start() as gateway:
        await send(gateway, orm(), update)
        [item] = (await findscu(gateway.dicom_port, *keys)).items
        assert (item.PatientName, item.PersonNamesToUseSequence[0].NameToUse) == ("MUSTER^MAX", "ALEX")
        assert (len(item.GenderIdentitySequence), len(item.ThirdPersonPronounsSequence)) == (1, 1)
        await send(gateway, back)
        [item] = (await findscu(gateway.dicom_port, *keys)).items
        assert (len(item.GenderIdentitySequence), len(item.ThirdPersonPronounsSequence)) == (0, 1)
        assert item.PatientSex == "M"


async def test_a_listener_that_refuses_wrong_structures_takes_the_newer_segments(start: Start) -> None:
    segments = [
        "MSH|^~\\&|RIS|HOSP|GATEWAY|HOSP|20260123120000||OMI^O23^OMI_O23|M1|P|2.5.1",
        "PID|1||PAT1^^^HOSP^MR||MUSTER^MAX^^^^^L||19800102|M", GSP, "GSR|1|S", GSC, "PRT|1|AD", "OH1|1|S", "ARV|1|S",
        "ORC|NW|P1^RIS|F1^RIS||SC", "OBR|1|P1^RIS|F1^RIS|CTH^CT head^L", "PRT|1|AD", "REL|1",
        "IPC|ACC1|RP1|1.2.3|SPS1|CT^CT^DCM|||||S",
    ]  # fmt: skip
    listener = Listener(name="ris", port=0, conformance="reject")
    async with start(hl7=Hl7(listeners=[listener])) as gateway:
        [ack] = await send(gateway, "".join(f"{one}\r" for one in segments).encode())
        assert told(ack)[0] == "AA", ack
        [item] = (await findscu(gateway.dicom_port, "(0010,0041)")).items
        assert len(item.GenderIdentitySequence) == 1


async def test_a_performed_step_keeps_them(start: Start) -> None:
    """An N-CREATE in implicit VR: the tags alone say what the values are."""
    name = Dataset()
    name.NameToUse = "ALEX"
    attributes = begin(PersonNamesToUseSequence=[name], EthnicGroups=["White", "Local"])
    async with start() as gateway:
        await send(gateway, orm())
        modality = modality_of(gateway)
        created = await modality.create(attributes, "1.2.9")
        assert created.status == 0
        got = await modality.get("1.2.9", 0x00100011, 0x00102162)
    assert got.status == 0
    assert got.dataset is not None
    assert got.dataset.PersonNamesToUseSequence[0].NameToUse == "ALEX"
    assert [*got.dataset.EthnicGroups] == ["White", "Local"]


async def test_the_web_finds_them_by_keyword_and_keeps_them(start: Start) -> None:
    """The same attributes over DICOMweb: in the answer by a path of keywords, and in a performed step."""
    name = Dataset()
    name.NameToUse = "ALEX"
    async with start() as gateway, client_of(gateway, "CT1") as client:
        await send(gateway, order())
        asked = "includefield=PersonNamesToUseSequence.NameToUse,00100041,EthnicGroups"
        [item] = (await client.search(asked)).json
        assert item["00100011"]["Value"] == [{"00100012": {"vr": "LT", "Value": ["ALEX MÜSTER"]}}]
        assert item["00100041"]["Value"][0]["0040A034"] == {"vr": "DT", "Value": ["20220715"]}
        assert item["00102162"] == {"vr": "UC", "Value": ["White", "Local"]}
        assert (await client.post("/1.2.9", begin(PersonNamesToUseSequence=[name]))).status == 201
        [kept] = (await client.get("/1.2.9")).json
        assert kept["00100011"]["Value"] == [{"00100012": {"vr": "LT", "Value": ["ALEX"]}}]
