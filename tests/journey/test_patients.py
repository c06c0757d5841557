"""Patients: ADT as the worklist shows it, merges, and whose word counts."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from gateway.assembly import process as app
from gateway.config.hl7 import Hl7, Listener
from gateway.operations.journey_of import journey
from gateway.records.identifiers import AccessionNumber
from gateway.store.retention import patients as of_patients
from gateway.store.schema import patients
from tests.journey.messages import adt, apart, orm
from tests.journey.running import Start, sqlite
from tests.journey.test_order_intake import send, told
from tests.journey.test_scheduling import outcomes, states
from tests.peers.dcmtk import findscu

LATER, LATEST, EARLIER = "20260123130000", "20260123140000", "20260123110000"
ARRIVAL = "20301124080000"


async def shown(gateway: app.Running, *keys: str) -> list[Any]:
    return (await findscu(gateway.dicom_port, "PatientID", "PatientName", "IssuerOfPatientID", *keys)).items


async def names(gateway: app.Running) -> list[tuple[str, str]]:
    return sorted((str(item.PatientID), str(item.PatientName)) for item in await shown(gateway))


async def test_a_merge_moves_open_steps_to_the_survivor_and_the_old_id_means_it(start: Start) -> None:
    """A40, then A08 of the survivor, then an order that still names the old id: all in the very next C-FIND."""
    async with start() as gateway:
        assert await outcomes(gateway, orm(patient="OLD^^^HOSP", name="MAIER^E")) == ["AA"]
        assert await names(gateway) == [("OLD", "MAIER^E")]
        merge = adt("A40", patient="NEW^^^HOSP", name="MEIER^ERIKA", prior="OLD^^^HOSP", at=LATER)
        assert await outcomes(gateway, merge) == ["AA"]
        assert await names(gateway) == [("NEW", "MEIER^ERIKA")]
        renamed = adt("A08", control_id="2", patient="NEW^^^HOSP", name="SCHULZ^ERIKA", at=LATEST)
        assert await outcomes(gateway, renamed) == ["AA"]
        assert await names(gateway) == [("NEW", "SCHULZ^ERIKA")]
        late = orm(control_id="3", patient="OLD^^^HOSP", name="MAIER^E", placer="P2", filler="F2", accession="ACC2",
                   study_uid="1.2.9", at=LATEST)  # fmt: skip
        assert await outcomes(gateway, late) == ["AA"]
        assert await names(gateway) == [("NEW", "SCHULZ^ERIKA")] * 2
        [item, _] = await shown(gateway, "OtherPatientIDsSequence")
        assert [other.PatientID for other in item.OtherPatientIDsSequence] == ["OLD"]
        cancel = orm(control="CA", control_id="4", patient="OLD^^^HOSP", at=LATEST)
        assert await outcomes(gateway, cancel) == ["AA"]
        assert sorted(await states(gateway)) == ["CANCELED", "SCHEDULED"]


@sqlite
async def test_a_chain_of_merges_leads_to_its_end(start: Start) -> None:
    async with start() as gateway:
        first = adt("A40", control_id="1", patient="B^^^HOSP", name="B^B", prior="A^^^HOSP", at=EARLIER)
        second = adt("A40", control_id="2", patient="C^^^HOSP", name="C^C", prior="B^^^HOSP", at=LATER)
        assert await outcomes(gateway, first, second, orm(control_id="3", patient="A^^^HOSP")) == ["AA"] * 3
        assert await names(gateway) == [("C", "C^C")]
        back = adt("A40", control_id="4", patient="A^^^HOSP", prior="C^^^HOSP", at=LATEST)
        [ack] = await send(gateway, back)
        assert told(ack) == ("AE", "205", "PID^1^3")


FOUND_BY = {
    ("PatientID=A",): True,
    ("PatientID=B",): True,
    ("PatientID=C",): True,
    ("PatientID=A*",): True,
    ("PatientID=B", "IssuerOfPatientID=HOSP"): True,
    ("PatientID=B", "IssuerOfPatientID=CLINIC"): False,
    ("PatientID=B", "PatientName=C*"): True,
    ("PatientID=B", "PatientName=B*"): False,
    ("PatientID=D",): False,
}


@sqlite
async def test_a_query_by_a_former_id_finds_the_steps_of_the_survivor(start: Start) -> None:
    """A merged into B (A40), B renamed to C (A47): whoever reads an old wristband finds the patient."""
    async with start() as gateway:
        merge = adt("A40", control_id="1", patient="B^^^HOSP", name="B^B", prior="A^^^HOSP", at=EARLIER)
        renamed = adt("A47", control_id="2", patient="C^^^HOSP", name="C^C", prior="B^^^HOSP", at=LATER)
        assert await outcomes(gateway, merge, renamed, orm(control_id="3", patient="C^^^HOSP")) == ["AA"] * 3
        for keys, found in FOUND_BY.items():
            items = (await findscu(gateway.dicom_port, "StudyInstanceUID", *keys)).items
            assert [item.PatientID for item in items] == ["C"] * found, keys


@sqlite
async def test_several_merges_of_one_message(start: Start) -> None:
    more = ["PID|1||N2^^^HOSP||N2^X||19800102|M", "MRG|O2^^^HOSP"]
    async with start() as gateway:
        await outcomes(
            gateway,
            orm(patient="O1^^^HOSP"),
            orm(control_id="2", patient="O2^^^HOSP", placer="P2", filler="F2", accession="A2", study_uid="1.2.9"),
        )
        both = adt("A40", control_id="3", patient="N1^^^HOSP", name="N1^X", prior="O1^^^HOSP", at=LATER, more=more)
        assert await outcomes(gateway, both) == ["AA"]
        assert await names(gateway) == [("N1", "N1^X"), ("N2", "N2^X")]


async def test_a_merge_of_which_one_part_is_wrong_merges_nothing(start: Start) -> None:
    more = ["PID|1||N2^^^HOSP||N2^X||19800102|M", "MRG|N2^^^HOSP"]
    async with start() as gateway:
        await outcomes(gateway, orm(patient="O1^^^HOSP", name="O^X"))
        both = adt("A40", control_id="3", patient="N1^^^HOSP", name="N1^X", prior="O1^^^HOSP", at=LATER, more=more)
        [ack] = await send(gateway, both)
        assert told(ack)[:2] == ("AE", "205")
        assert await names(gateway) == [("O1", "O^X")]


@sqlite
async def test_patients_of_two_authorities_never_meet(start: Start) -> None:
    """One number, two issuers: neither names nor merges of the one reach the other."""
    other = orm(control_id="2", patient="PAT1^^^CLINIC", name="OTHER^OTTO", placer="P9", filler="F9", accession="ACC1",
                study_uid="1.2.9").replace(b"|RIS|HOSP|", b"|RIS|CLINIC|")  # fmt: skip
    async with start() as gateway:
        assert await outcomes(gateway, orm(), other) == ["AA", "AA"]
        assert await outcomes(
            gateway, adt("A08", control_id="3", patient="PAT1^^^CLINIC", name="OTHER^O", at=LATER)
        ) == ["AA"]
        merge = adt("A40", control_id="4", patient="NEW^^^CLINIC", name="NEW^N", prior="PAT1^^^CLINIC", at=LATER)
        assert await outcomes(gateway, merge) == ["AA"]
        assert await names(gateway) == [("NEW", "NEW^N"), ("PAT1", "MUSTER^MAX")]


@sqlite
async def test_a_patient_id_changes_its_name(start: Start) -> None:
    """A47: the orders stay the patient's, under the new id; the old id leads to it."""
    async with start() as gateway:
        change = adt("A47", control_id="2", patient="NEW^^^HOSP", prior="PAT1^^^HOSP", at=LATER)
        late = orm(control_id="3", placer="P2", filler="F2", accession="ACC2", study_uid="1.2.9")
        assert await outcomes(gateway, orm(), change, late) == ["AA"] * 3
        assert await names(gateway) == [("NEW", "MUSTER^MAX")] * 2
        taken = adt("A47", control_id="4", patient="NEW^^^HOSP", prior="ELSE^^^HOSP", at=LATEST)
        await outcomes(gateway, adt("A04", control_id="5", patient="ELSE^^^HOSP"))
        [ack] = await send(gateway, taken)
        assert told(ack) == ("AE", "205", "PID^1^3")


@sqlite
@pytest.mark.parametrize(("policy", "name"), [("fill", "ADT^NAME"), ("newest", "ORDER^NAME")])
async def test_whether_an_order_may_rename_whom_adt_named_is_the_site_s(start: Start, policy: Any, name: str) -> None:
    hl7 = Hl7(listeners=[Listener(port=0, conformance="off")], patient_data=policy)
    async with start(hl7=hl7) as gateway:
        await outcomes(gateway, adt("A04", name="ADT^NAME"), orm(name="ORDER^NAME", at=LATER))
        assert await names(gateway) == [("PAT1", name)]


@sqlite
async def test_an_order_fills_what_adt_did_not_say(start: Start) -> None:
    async with start() as gateway:
        bare = adt("A04", birth="")
        await outcomes(gateway, bare, orm(at=LATER))
        [item] = await shown(gateway, "PatientBirthDate")
        assert item.PatientBirthDate == "19800102"


@sqlite
async def test_null_deletes_and_empty_says_nothing(start: Start) -> None:
    async with start() as gateway:
        await outcomes(gateway, orm(), adt("A08", control_id="2", birth="", at=LATER))
        [item] = await shown(gateway, "PatientBirthDate")
        assert item.PatientBirthDate == "19800102"
        await outcomes(gateway, adt("A08", control_id="3", birth='""', at=LATEST))
        [item] = await shown(gateway, "PatientBirthDate")
        assert not item.PatientBirthDate


@sqlite
async def test_an_older_adt_never_takes_a_name_back(start: Start) -> None:
    async with start() as gateway:
        newer, older = adt("A08", name="NEW^N", at=LATER), adt("A08", control_id="2", name="OLD^N", at=EARLIER)
        assert await outcomes(gateway, orm(), newer, older) == ["AA"] * 3
        assert await names(gateway) == [("PAT1", "NEW^N")]


@sqlite
async def test_who_arrives_has_arrived_for_what_is_planned_that_day(start: Start) -> None:
    tomorrow = orm(control_id="2", placer="P2", filler="F2", accession="ACC2", study_uid="1.2.9",
                   start="20301125093000")  # fmt: skip
    async with start() as gateway:
        # A day ahead of the clock is a slip of the sender's; what counts is the day that the message names.
        await outcomes(gateway, orm(start="20260123150000"), tomorrow, adt("A10", control_id="3", at=LATER))
        assert sorted(await states(gateway)) == ["ARRIVED", "SCHEDULED"]


@sqlite
async def test_an_arrival_holds_for_an_order_that_comes_after_it(start: Start) -> None:
    async with start() as gateway:
        await outcomes(gateway, adt("A10", at=LATER), orm(control_id="2", start="20260123150000", at=EARLIER))
        assert await states(gateway) == ["ARRIVED"]


@sqlite
async def test_a_patient_with_open_steps_is_not_deleted(start: Start) -> None:
    async with start() as gateway:
        await outcomes(gateway, orm())
        [ack] = await send(gateway, adt("A23", control_id="2", at=LATER))
        assert told(ack) == ("AE", "207", "PID^1^3")
        cancel = orm(control="CA", control_id="3", at=LATER)
        assert await outcomes(gateway, cancel, adt("A23", control_id="4", at=LATEST)) == ["AA", "AA"]


@sqlite
async def test_a_cancelled_admission_takes_its_visit_back(start: Start) -> None:
    ward = "PV1|1|I|WARD1^101^A||||||||||||||||V77"
    async with start() as gateway:
        await outcomes(gateway, orm(), adt("A01", control_id="2", visit=ward, at=LATER))
        [item] = await shown(gateway, "AdmissionID", "CurrentPatientLocation")
        assert (item.AdmissionID, "WARD1" in item.CurrentPatientLocation) == ("V77", True)
        await outcomes(gateway, adt("A11", control_id="3", visit=ward, at=LATEST))
        [item] = await shown(gateway, "AdmissionID", "CurrentPatientLocation")
        assert (item.AdmissionID, item.CurrentPatientLocation) in [("", ""), (None, None)]


@sqlite
async def test_what_registers_or_corrects_changes_the_name(start: Start) -> None:
    triggers = ["A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A12", "A13", "A28", "A31"]
    async with start() as gateway:
        for number, trigger in enumerate(triggers):
            changed = adt(trigger, control_id=f"{number}", name=f"BY^{trigger}", at=LATER)
            assert await outcomes(gateway, apart(orm(), number), apart(changed, number)) == ["AA", "AA"], trigger
        named = dict(await names(gateway))
    assert named == {f"PAT1X{number}": f"BY^{trigger}" for number, trigger in enumerate(triggers)}


@sqlite
async def test_all_faults_of_several_merges_are_in_one_answer(start: Start) -> None:
    more = ["PID|2||||SECOND^NO ID||19800102|M", "MRG|O2^^^HOSP", "PID|3||N3^^^HOSP||THIRD^OF||19800102|M"]
    merges = adt("A40", patient="", name="FIRST^NO ID", prior="O1^^^HOSP", more=more)
    async with start() as gateway:
        [ack] = await send(gateway, merges.replace(b"|2.3.1\r", b"|2.5.1\r"))
        places = [line.split("|")[2] for line in ack.text.split("\r") if line.startswith("ERR")]
        assert (told(ack)[0], places) == ("AE", ["PID^1^3^1^1", "PID^2^3^1^1", "MRG^3^1^1"])


@sqlite
async def test_a_merge_without_a_prior_id_is_refused(start: Start) -> None:
    async with start() as gateway:
        answers = await send(gateway, adt("A40"), adt("A47", control_id="2"))
        assert [told(ack) for ack in answers] == [("AE", "101", "MRG^1^1")] * 2


@sqlite
async def test_the_journey_of_an_order_tells_what_was_said_of_its_patient(start: Start) -> None:
    async with start() as gateway:
        merge = adt("A40", control_id="2", patient="NEW^^^HOSP", prior="PAT1^^^HOSP", at=LATER)
        renamed = adt("A08", control_id="3", patient="NEW^^^HOSP", name="NEW^N", at=LATEST)
        await outcomes(gateway, orm(), merge, renamed)
        told_of = await journey(gateway.store, AccessionNumber("ACC1"))
        assert told_of is not None
        texts = [event["text"] for event in told_of["events"] if event["station"] == "order_intake"]
        assert texts == [
            "ORM^O01 MSG1 received from ris, AA (created)",
            "ADT^A40 2 received from ris, AA (moved)",
            "ADT^A08 3 received from ris, AA (updated)",
        ]


@sqlite
async def test_adt_without_a_name_changes_what_it_says_and_no_more(start: Start) -> None:
    async with start() as gateway:
        nameless = adt("A03", control_id="2", name="", birth="19990101", at=LATER)
        assert await outcomes(gateway, nameless, orm(control_id="3", at=LATEST)) == ["AA", "AA"]
        [item] = await shown(gateway, "PatientBirthDate")
        assert (str(item.PatientName), item.PatientBirthDate) == ("MUSTER^MAX", "19990101")


@sqlite
async def test_an_identity_whose_survivor_was_deleted_by_age_stands_for_itself(start: Start) -> None:
    async with start() as gateway:
        merge = adt("A40", control_id="1", patient="NEW^^^HOSP", name="N^N", prior="OLD^^^HOSP", at=EARLIER)
        assert await outcomes(gateway, adt("A04", patient="OLD^^^HOSP", name="O^O", at=EARLIER), merge) == ["AA", "AA"]
        survivor = select(patients.c.id).where(patients.c.patient_id == "NEW")
        await gateway.store.write(lambda c: of_patients.delete(c, c.execute(survivor).scalars().all()))
        after = adt("A08", control_id="2", patient="OLD^^^HOSP", name="O^P", at=LATER)
        assert await outcomes(gateway, after) == ["AA"]
