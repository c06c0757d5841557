"""Station 2: what orders do to the worklist, seen through the worklist."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update

from gateway.assembly import process as app
from gateway.config.hl7 import Hl7, Listener
from gateway.config.tree import MappingsSection
from gateway.store import messages
from gateway.store import worklist as worklist_rows
from gateway.store.schema import steps as steps_table
from tests.journey.messages import apart, orm
from tests.journey.running import Start, sqlite
from tests.journey.test_order_intake import send, told
from tests.peers.dcmtk import findscu

LATER, EARLIER = "20260123130000", "20260123110000"


async def visible(gateway: app.Running) -> list[tuple[str, str, str]]:
    """(accession, step id, start) of what a scanner sees."""
    found = await findscu(
        gateway.dicom_port, "AccessionNumber", "ScheduledProcedureStepSequence[0].ScheduledProcedureStepID",
        "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartTime",
    )  # fmt: skip
    result = []
    for item in found.items:
        step = item.ScheduledProcedureStepSequence[0]
        start = f"{step.ScheduledProcedureStepStartDate}{step.ScheduledProcedureStepStartTime}"
        result.append((str(item.AccessionNumber), str(step.ScheduledProcedureStepID), start))
    return result


async def states(gateway: app.Running) -> list[str]:
    found = await gateway.store.read(lambda connection: list(connection.execute(worklist_rows.ITEMS).mappings()))
    return [row["state"] for row in found]


async def outcomes(gateway: app.Running, *raw: bytes) -> list[str]:
    return [told(ack)[0] for ack in await send(gateway, *raw)]


STEP = ("ACC1", "SPS1", "20301124093000")


async def test_new_change_cancel(start: Start) -> None:
    async with start() as gateway:
        assert await outcomes(gateway, orm()) == ["AA"]
        assert await visible(gateway) == [STEP]
        change = orm(control="XO", control_id="2", at=LATER, start="20301126070000")
        assert await outcomes(gateway, change) == ["AA"]
        assert await visible(gateway) == [("ACC1", "SPS1", "20301126070000")]
        assert await outcomes(gateway, orm(control="CA", status="CA", control_id="3", at=LATER)) == ["AA"]
        assert await visible(gateway) == []
        assert await states(gateway) == ["CANCELED"]


async def came_to(start: Start, cases: Sequence[Sequence[bytes]]) -> list[str]:
    """The states of the steps after these messages, all accepted: those of each case have numbers of their own."""
    async with start() as gateway:
        for number, raw in enumerate(cases):
            assert {*await outcomes(gateway, *(apart(one, number) for one in raw))} == {"AA"}, number
        found = await gateway.store.read(lambda connection: list(connection.execute(worklist_rows.ITEMS).mappings()))
    of_case = {row["accession"].removeprefix("ACC1X"): row["state"] for row in found}
    return [of_case[str(number)] for number in range(len(cases))]


@sqlite
async def test_hidden_by(start: Start) -> None:
    by = {"DC": "CANCELED", "HD": "HELD", "CA": "CANCELED"}
    cases = [[orm(), orm(control=control, control_id="2", at=LATER)] for control in by]
    assert dict(zip(by, await came_to(start, cases), strict=True)) == by


@sqlite
async def test_hold_and_release(start: Start) -> None:
    async with start() as gateway:
        await outcomes(gateway, orm(), orm(control="HD", control_id="2"), orm(control="RL", control_id="3"))
        assert await visible(gateway) == [STEP]


@sqlite
async def test_cancel_before_its_order_swallows_the_older_order(start: Start) -> None:
    async with start() as gateway:
        assert await outcomes(gateway, orm(control="CA", at=LATER), orm(control_id="2")) == ["AA", "AA"]
        assert await visible(gateway) == []
        assert await outcomes(gateway, orm(control_id="3", at="20260123140000")) == ["AA"]
        assert await visible(gateway) == [STEP]


@sqlite
async def test_older_change_is_not_applied(start: Start) -> None:
    async with start() as gateway:
        await outcomes(gateway, orm(), orm(control="XO", control_id="2", at=EARLIER, start="20301201000000"))
        assert await visible(gateway) == [STEP]


@sqlite
async def test_new_order_twice_under_other_control_ids_is_one(start: Start) -> None:
    async with start() as gateway:
        assert await outcomes(gateway, orm(), orm(control_id="2"), orm(control_id="3")) == ["AA"] * 3
        assert await visible(gateway) == [STEP]


@sqlite
async def test_a_repeated_order_does_not_bring_a_cancelled_one_back(start: Start) -> None:
    async with start() as gateway:
        await outcomes(gateway, orm(), orm(control="CA", control_id="2"), orm(control_id="3"))
        assert await visible(gateway) == []


@sqlite
async def test_what_a_change_does_not_say_stays(start: Start) -> None:
    """An XO without schedule or accession keeps both; explicit null deletes."""
    raw = orm(control="XO", control_id="2", at=LATER, accession="", start="").decode()
    raw = raw.replace("^REQUESTER^RUTH", '""').replace("1^^^^^R", "")
    async with start() as gateway:
        assert await outcomes(gateway, orm(), raw.encode()) == ["AA", "AA"]
        assert await visible(gateway) == [STEP]
        found = await findscu(gateway.dicom_port, "RequestingPhysician", "AccessionNumber")
        assert not found.items[0].RequestingPhysician


@sqlite
async def test_change_lists_all_steps(start: Start) -> None:
    """Steps that an XO leaves out are cancelled, new ones are added (IHE RAD-13)."""

    def group(number: int) -> list[str]:
        return [
            "ORC|XO|P1|F1||SC||1^^^20301124093000^^R||" + LATER,
            f"OBR|{number}|P1|F1|CTH^CT head^99RIS||||||||||||||ACC1|RP1|SPS{number}||||CT|||1^^^20301124093000^^R",
        ]

    async with start() as gateway:
        two = orm(more=group(2)).replace(b"ORC|XO", b"ORC|NW").replace(LATER.encode(), b"20260123120000")
        assert await outcomes(gateway, two) == ["AA"]
        assert [step for _, step, _ in await visible(gateway)] == ["SPS1", "SPS2"]
        change = orm(control="XO", control_id="2", at=LATER, step="SPS2", more=group(3))
        assert await outcomes(gateway, change) == ["AA"]
        assert [step for _, step, _ in await visible(gateway)] == ["SPS2", "SPS3"]


@sqlite
async def test_plain_order_of_an_ehr_gets_identifiers_that_replay_the_same(start: Start) -> None:
    """No ZDS, no OBR-18 to 20, ORC-5 empty: the gateway is the order filler."""
    plain = orm(status="", accession="", procedure="", step="", study_uid="", filler="")
    async with start() as gateway:
        assert await outcomes(gateway, plain) == ["AA"]
        [first] = await visible(gateway)
        assert first == ("P1", "P1", "20301124093000")
        uid = (await findscu(gateway.dicom_port, "StudyInstanceUID")).items[0].StudyInstanceUID
        assert uid.startswith("2.25.")
        again = orm(control="XO", control_id="2", at=LATER, status="", accession="", procedure="", step="",
                    study_uid="", filler="", start="20301201100000")  # fmt: skip
        assert await outcomes(gateway, again) == ["AA"]
        assert await visible(gateway) == [("P1", "P1", "20301201100000")]
        assert (await findscu(gateway.dicom_port, "StudyInstanceUID")).items[0].StudyInstanceUID == uid
        cancel = orm(control="CA", control_id="3", at=LATER, status="", accession="", procedure="", step="",
                     study_uid="", filler="")  # fmt: skip
        assert await outcomes(gateway, cancel) == ["AA"]
        assert await visible(gateway) == []


@sqlite
async def test_same_accession_of_two_sites_does_not_meet(start: Start) -> None:
    other = orm(control_id="2", patient="PAT9^^^CLINIC", placer="P9", filler="F9", study_uid="1.2.9")
    other = other.replace(b"|RIS|HOSP|", b"|RIS|CLINIC|")
    async with start() as gateway:
        assert await outcomes(gateway, orm(), other) == ["AA", "AA"]
        assert len(await visible(gateway)) == 2
        cancel = orm(control="CA", control_id="3", at=LATER)
        assert await outcomes(gateway, cancel) == ["AA"]
        found = await findscu(gateway.dicom_port, "PatientID", "IssuerOfPatientID")
        assert [(item.PatientID, item.IssuerOfPatientID) for item in found.items] == [("PAT9", "CLINIC")]


@sqlite
async def test_cancel_of_a_running_examination_is_refused(start: Start) -> None:
    def begin(connection: Connection) -> None:
        connection.execute(update(steps_table).values(state="STARTED"))

    async with start() as gateway:
        await outcomes(gateway, orm())
        await gateway.store.write(begin)
        [ack] = await send(gateway, orm(control="CA", control_id="2", at=LATER))
        assert told(ack) == ("AE", "207", "ORC^1^1")
        assert await states(gateway) == ["STARTED"]


@sqlite
async def test_hold_of_an_unknown_order_waits_for_it(start: Start) -> None:
    async with start() as gateway:
        assert await outcomes(gateway, orm(control="HD", at=LATER), orm(control_id="2")) == ["AA", "AA"]
        assert await states(gateway) == ["HELD"]
        [held, _] = reversed(await gateway.store.read(messages.listing))
        assert held["findings"][0]["text"].startswith("nothing that this speaks of was ordered yet")


@sqlite
async def test_a_site_can_have_a_hold_of_an_unknown_order_refused(start: Start) -> None:
    async with start(hl7=Hl7(listeners=[Listener(port=0)], unknown_order="reject")) as gateway:
        [ack] = await send(gateway, orm(control="HD"))
        assert told(ack)[:2] == ("AE", "204")


@sqlite
async def test_change_of_an_unknown_order_creates_it(start: Start) -> None:
    async with start() as gateway:
        assert await outcomes(gateway, orm(control="XO")) == ["AA"]
        assert await visible(gateway) == [STEP]


def by_status(folder: Path) -> MappingsSection:
    """A site whose RIS orders with SC, and writes its own code for a patient who is there."""
    (folder / "tables").mkdir(parents=True)
    (folder / "tables/order_control.csv").write_text("code,value\nSC,ensure\nSC/HERE,arrive\n")
    return MappingsSection(overlay=folder)


@sqlite
async def test_a_status_makes_the_order_where_a_site_says_so(start: Start, tmp_path: Path) -> None:
    async with start(mappings=by_status(tmp_path / "mappings.d")) as gateway:
        assert await outcomes(gateway, orm(control="SC", status="IP")) == ["AA"]
        assert (await visible(gateway), await states(gateway)) == ([STEP], ["SCHEDULED"])
        here = orm(control="SC", status="HERE", control_id="2", at=LATER)
        assert await outcomes(gateway, here) == ["AA"]
        assert await states(gateway) == ["ARRIVED"]
        cancel = orm(control="CA", control_id="3", at="20260123133000")
        late = orm(control="SC", status="IP", control_id="4", at="20260123134000", start="20301126070000")
        assert await outcomes(gateway, cancel, late) == ["AA", "AA"]
        # Unlike an order, a status brings nothing back.
        assert await states(gateway) == ["CANCELED"]


LABORATORY = orm(modality="LAB", accession="LAB1", placer="L1", filler="L2", study_uid="", control_id="9")


@sqlite
async def test_an_order_of_a_laboratory_is_kept_where_a_source_sends_such(start: Start) -> None:
    feed = Listener(port=0, conformance="off", without_modality="store")
    async with start(hl7=Hl7(listeners=[feed])) as gateway:
        changed = LABORATORY.replace(b"ORC|NW", b"ORC|XO").replace(b"|9|", b"|10|")
        assert await outcomes(gateway, LABORATORY, changed, orm()) == ["AA"] * 3
        assert await visible(gateway) == [STEP]
        kept = list(reversed(await gateway.store.read(messages.listing)))
        assert [row["state"] for row in kept] == ["stored", "stored", "applied"]
        for row in kept[:2]:
            last = row["findings"][-1]
            assert (last["place"], last["text"][:37]) == ("OBR-24.1", "kept only: no imaging order ('LAB' is")
        # What is done to an order of images needs no modality.
        assert await outcomes(gateway, orm(control="CA", modality="LAB", control_id="11", at=LATER)) == ["AA"]
        assert await states(gateway) == ["CANCELED"]


@sqlite
async def test_orders_of_a_laboratory_and_of_images_in_one_message(start: Start) -> None:
    feed = Listener(port=0, conformance="off", without_modality="store")
    both = orm() + b"".join(line + b"\r" for line in LABORATORY.split(b"\r") if line[:3] in (b"ORC", b"OBR"))
    async with start(hl7=Hl7(listeners=[feed])) as gateway:
        assert await outcomes(gateway, both) == ["AA"]
        assert await visible(gateway) == [STEP]
        [row] = await gateway.store.read(messages.listing)
        assert (row["state"], row["findings"][-1]["place"]) == ("applied", "OBR-24.1 of ORC[2]")


@sqlite
async def test_all_faults_of_a_message_are_in_one_answer(start: Start) -> None:
    wrong = orm(name="", modality="LAB").replace(b"|2.3.1|", b"|2.5.1|")
    second = orm(placer="", filler="", accession="A" * 17, study_uid="")
    wrong += b"".join(line + b"\r" for line in second.split(b"\r") if line[:3] in (b"ORC", b"OBR"))
    async with start() as gateway:
        [ack] = await send(gateway, wrong)
        problems = [line.split("|") for line in ack.text.split("\r") if line.startswith("ERR")]
        assert [(err[2], err[3].partition("^")[0]) for err in problems] == [
            ("PID^1^5^1", "101"), ("OBR^1^24^1^1", "103"), ("OBR^2^18^1^1", "104"), ("ORC^2^2^1", "101"),
        ]  # fmt: skip
        [row] = await gateway.store.read(messages.listing)
        assert len(row["findings"]) == 4


@sqlite
async def test_a_change_does_not_rewrite_the_patient(start: Start) -> None:
    """RAD-13: PID of a change only fills what is missing; a new order may correct."""

    async def name() -> Any:
        return (await findscu(gateway.dicom_port, "PatientName")).items[0].PatientName

    async with start() as gateway:
        await outcomes(gateway, orm(), orm(control="XO", control_id="2", at=LATER, name="WRONG^WALTER"))
        assert await name() == "MUSTER^MAX"
        newer = orm(control_id="3", at=LATER, name="MUSTER^MAXIMILIAN", accession="ACC2", placer="P2", filler="F2",
                    study_uid="1.2.9", procedure="RP2")  # fmt: skip
        await outcomes(gateway, newer)
        assert await name() == "MUSTER^MAXIMILIAN"


def other(control_id: str, **fields: str) -> bytes:
    """A second order of the same patient, with numbers of its own."""
    numbers = {"placer": "P2", "filler": "F2", "accession": "ACC2", "procedure": "RP2", "study_uid": "1.2.9"}
    return orm(control_id=control_id, **(numbers | fields))


@sqlite
async def test_a_cancel_finds_its_order_whether_it_states_the_authority_or_not(start: Start) -> None:
    stated = [("P1^RISA", "P1"), ("P1", "P1^RISA"), ("P1^RISA", "P1^RISA")]
    cases = [
        [orm(placer=first, filler=""), orm(control="CA", control_id="2", at=LATER, placer=second, filler="")]
        for first, second in stated
    ]
    assert await came_to(start, cases) == ["CANCELED"] * 3


@sqlite
async def test_numbers_of_other_authorities_are_other_orders(start: Start) -> None:
    async with start() as gateway:
        cancel = orm(control="CA", control_id="2", at=LATER, placer="P1^B", filler="", accession="", study_uid="")
        assert await outcomes(gateway, orm(placer="P1^A", filler=""), cancel) == ["AA", "AA"]
        assert await visible(gateway) == [STEP]


@sqlite
async def test_an_older_group_of_another_procedure_is_not_stale(start: Start) -> None:
    older = [
        f"ORC|NW|P1|F1||SC||1^^^20301125080000^^R||{EARLIER}",
        "OBR|2|P1|F1|CTA^CT abdomen^99RIS||||||||||||||ACC1|RP2|SPS2||||CT|||1^^^20301125080000^^R",
    ]
    async with start() as gateway:
        assert await outcomes(gateway, orm(more=older)) == ["AA"]
        assert [step for _, step, _ in await visible(gateway)] == ["SPS1", "SPS2"]


@sqlite
@pytest.mark.parametrize("fields", [{"step": "S9"}, {"procedure": "RP9", "study_uid": "1.2.99"}])
async def test_a_cancel_of_what_was_never_ordered_cancels_nothing(start: Start, fields: dict[str, str]) -> None:
    async with start() as gateway:
        cancel = orm(control="CA", control_id="2", at=LATER, **fields)
        assert await outcomes(gateway, orm(), cancel) == ["AA", "AA"]
        assert await visible(gateway) == [STEP]
        [newest, _] = await gateway.store.read(messages.listing)
        assert newest["findings"][0]["text"].startswith("no such order is known yet")


@sqlite
async def test_a_cancel_that_names_no_procedure_cancels_the_whole_order(start: Start) -> None:
    """Also when the order number, which stands in for a procedure's id, is the id of one of them."""
    second = [
        "ORC|NW|P1|F1||SC||1^^^20301125080000^^R||20260123120000",
        "OBR|2|P1|F1|CTA^CT abdomen^99RIS||||||||||||||ACC1|F1|SPS2||||CT|||1^^^20301125080000^^R",
    ]
    async with start() as gateway:
        await outcomes(gateway, orm(more=second))
        assert len(await visible(gateway)) == 2
        bare = orm(control="CA", control_id="2", at=LATER, accession="", procedure="", step="", study_uid="")
        assert await outcomes(gateway, bare) == ["AA"]
        assert await states(gateway) == ["CANCELED", "CANCELED"]


async def test_a_study_uid_of_another_order_is_refused(start: Start) -> None:
    async with start() as gateway:
        [_, ack] = await send(gateway, orm(), other("2", study_uid="1.2.3.4.5"))
        assert told(ack)[:2] == ("AE", "205")
        assert await visible(gateway) == [STEP]


@sqlite
async def test_steps_may_come_in_messages_of_their_own(start: Start) -> None:
    async with start() as gateway:
        assert await outcomes(gateway, orm(), orm(control_id="2", step="SPS2")) == ["AA", "AA"]
        assert [step for _, step, _ in await visible(gateway)] == ["SPS1", "SPS2"]


@sqlite
async def test_a_change_that_is_no_newer_or_says_cancelled_revives_nothing(start: Start) -> None:
    changes = [("CA", LATER), ("CA", "20260123140000"), ("SC", LATER)]
    cancel = orm(control="CA", control_id="2", at=LATER)
    cases = [[orm(), cancel, orm(control="XO", status=status, control_id="3", at=at)] for status, at in changes]
    assert await came_to(start, cases) == ["CANCELED"] * 3


@sqlite
async def test_changes_that_all_bear_the_time_of_the_order_are_taken_as_they_come(start: Start) -> None:
    """Some senders never change ORC-9. Nothing was done to the order meanwhile, so nothing is read again."""
    async with start() as gateway:
        changes = [orm(control="XO", control_id=f"C{hour}", start=f"203011240{hour}3000") for hour in range(1, 9)]
        assert await outcomes(gateway, orm(), *changes) == ["AA"] * 9
        assert await visible(gateway) == [("ACC1", "SPS1", "20301124083000")]
        cancel = orm(control="CA", control_id="X")
        assert await outcomes(gateway, cancel, orm(control="XO", control_id="Y")) == ["AA", "AA"]
        assert await states(gateway) == ["CANCELED"], "of one time, an order comes before its cancel"


@sqlite
async def test_a_newer_change_brings_a_cancelled_step_back(start: Start) -> None:
    async with start() as gateway:
        cancel = orm(control="CA", control_id="2", at=LATER)
        await outcomes(gateway, orm(), cancel, orm(control="XO", control_id="3", at="20260123140000"))
        assert await visible(gateway) == [STEP]


@sqlite
async def test_a_date_far_ahead_does_not_make_later_cancels_stale(start: Start) -> None:
    async with start() as gateway:
        cancel = orm(control="CA", control_id="2", at="20990102000000")
        assert await outcomes(gateway, orm(at="20990101000000"), cancel) == ["AA", "AA"]
        assert await states(gateway) == ["CANCELED"]


@sqlite
async def test_a_newer_order_corrects_the_patient(start: Start) -> None:
    async with start() as gateway:
        await outcomes(gateway, orm(name="OLD^NAME"), other("2", at=LATER, name="NEW^NAME"))
        found = await findscu(gateway.dicom_port, "PatientName")
        assert {str(item.PatientName) for item in found.items} == {"NEW^NAME"}


@sqlite
async def test_a_patient_id_without_authority_is_the_order_s_patient(start: Start) -> None:
    async with start() as gateway:
        cancel = orm(control="CA", control_id="2", at=LATER, patient="PAT1")
        assert await outcomes(gateway, orm(patient="PAT1^^^ELSEWHERE"), cancel) == ["AA", "AA"]
        assert await states(gateway) == ["CANCELED"]


@sqlite
async def test_a_hold_that_came_before_its_order_holds_it(start: Start) -> None:
    async with start() as gateway:
        cancel, hold = orm(control="CA", at=EARLIER), orm(control="HD", control_id="2", at="20260123140000")
        assert await outcomes(gateway, cancel, hold, orm(control_id="3")) == ["AA"] * 3
        assert await states(gateway) == ["HELD"]


@sqlite
async def test_a_tombstone_is_its_patient_s(start: Start) -> None:
    async with start() as gateway:
        order = orm(control_id="2", patient="PAT2^^^HOSP")
        assert await outcomes(gateway, orm(control="CA", at=LATER), order) == ["AA", "AA"]
        assert await visible(gateway) == [STEP]


@sqlite
async def test_too_many_orders_in_one_message_are_refused(start: Start) -> None:
    group = [
        "ORC|NW|PX|FX||SC||1^^^20301125080000^^R||20260123120000",
        "OBR|2|PX|FX|CTA^CT^99RIS||||||||||||||ACCX|RPX|SX||||CT|||1^^^20301125080000^^R",
    ]
    async with start() as gateway:
        [ack] = await send(gateway, orm(more=group * 250))
        assert told(ack)[:2] == ("AR", "100")
        assert await visible(gateway) == []


@sqlite
async def test_an_older_order_never_takes_a_name_back(start: Start) -> None:
    """Not even after it could add something: that must not make its time the patient's."""
    second = {"placer": "P2", "filler": "F2", "accession": "ACC2", "procedure": "RP2", "study_uid": "1.2.9"}
    third = {"placer": "P3", "filler": "F3", "accession": "ACC3", "procedure": "RP3", "study_uid": "1.2.10"}
    adds = orm(name="OLD^NAME", control_id="2", at="20260123100000", **second)
    async with start() as gateway:
        await outcomes(
            gateway,
            orm(name="NEW^NAME"),
            adds.replace(b"PV1|", b"NTE|1||falls easily\rPV1|"),
            orm(name="OLD^NAME", control_id="3", at=EARLIER, **third),
        )
        found = await findscu(gateway.dicom_port, "PatientName")
        assert {str(item.PatientName) for item in found.items} == {"NEW^NAME"}


@sqlite
async def test_a_status_report_is_taken_and_moves_nothing(start: Start) -> None:
    async with start() as gateway:
        for number, status in enumerate(("SC", "IP", "A", "")):
            report = orm(control="SC", status=status, control_id="2", at=LATER, start="20301126070000")
            sent = [apart(one, number) for one in (report, orm(control_id="3"), report)]
            assert await outcomes(gateway, *sent) == ["AA", "AA", "AA"], status
        shown = sorted(await visible(gateway))
    assert shown == [(f"ACC1X{number}", *STEP[1:]) for number in range(4)]
