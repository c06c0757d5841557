"""Performed steps (MPPS) over DIMSE: the status that a modality receives, and what becomes of the worklist."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import select

from gateway.assembly import process as app
from gateway.config.dicom import Dicom, DicomPeer
from gateway.observe import metrics
from gateway.operations.journey_of import journey
from gateway.records.identifiers import AccessionNumber
from gateway.records.performed_step import SET, PerformedState
from gateway.records.step import RefusedEvent
from gateway.store import refusals
from gateway.store import worklist as worklist_rows
from gateway.store.schema import performed_step_links, performed_steps
from tests.journey.messages import orm
from tests.journey.modality import begin, end, going_on, item, modality_of, series
from tests.journey.running import Start, sqlite
from tests.journey.test_order_intake import send, told
from tests.journey.test_scheduling import visible
from tests.peers import dcmjs

UID = "1.2.826.0.1.3680043.8.498.7"
WRONG_ENTRY = "110514"


async def ordered(gateway: app.Running, *messages: bytes) -> None:
    acks = await send(gateway, *(messages or (orm(),)))
    assert [told(ack)[0] for ack in acks] == ["AA"] * len(acks)


async def states(gateway: app.Running) -> dict[str, str]:
    """Step ID -> state."""
    found = await gateway.store.read(lambda connection: list(connection.execute(worklist_rows.ITEMS).mappings()))
    return {row["step_id"]: row["state"] for row in found}


async def kept(gateway: app.Running) -> list[Any]:
    wanted = select(performed_steps).order_by(performed_steps.c.id)
    return list(await gateway.store.read(lambda connection: connection.execute(wanted).mappings().all()))


async def matches(gateway: app.Running) -> list[tuple[str, str]]:
    wanted = select(performed_step_links).order_by(performed_step_links.c.id)
    found = await gateway.store.read(lambda connection: connection.execute(wanted).mappings().all())
    return [(row["step_id"], row["match"]) for row in found]


def findings(row: Any) -> list[str]:
    return [f"{one['place']}: {one['text']}" for one in row["findings"]]


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


def hl7_time(**span: float) -> str:
    return f"{ago(**span):%Y%m%d%H%M%S}"


def start_time(**span: float) -> dict[str, str]:
    moment = ago(**span)
    return {
        "PerformedProcedureStepStartDate": f"{moment:%Y%m%d}",
        "PerformedProcedureStepStartTime": f"{moment:%H%M%S}",
    }


async def test_begin_and_end(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway)
        modality = modality_of(gateway)
        answer = await modality.create(begin(), UID)
        assert (answer.status, answer.uid) == (0, UID)
        assert await states(gateway) == {"SPS1": "STARTED"}
        assert len(await visible(gateway)) == 1, "an acquisition may be appended"
        answer = await modality.set(end(), UID)
        assert (answer.status, answer.uid) == (0, UID)
        assert await states(gateway) == {"SPS1": "COMPLETED"}
        assert await visible(gateway) == []
        assert await matches(gateway) == [("SPS1", "study and step")]
        [row] = await kept(gateway)
        assert (row["state"], row["calling_ae"], row["findings"]) == ("COMPLETED", "CT1", [])
        assert row["attributes"]["PerformedSeriesSequence"][0]["ProtocolName"] == "HEAD"


@sqlite
async def test_dcmjs_performs_a_step(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway)
        answer = await dcmjs.scu(gateway.dicom_port, "perform", UID, "1.2.3.4.5", "SPS1")
        assert answer["statuses"] == [["begin", 0], ["end", 0]], answer
        assert await states(gateway) == {"SPS1": "COMPLETED"}


PAIRS = [*product(PerformedState, [*PerformedState, None, "ARRIVED"])]


@sqlite
async def test_the_table_of_n_set(start: Start) -> None:
    """Every state with every status of an N-SET, and the status that comes back (PS3.4 Table F.7.2-2)."""
    async with start() as gateway:
        modality = modality_of(gateway)
        for number, (state, status) in enumerate(PAIRS):
            uid = f"{UID}.{number}"
            assert (await modality.create(begin(), uid)).status == 0
            if state is not PerformedState.IN_PROGRESS:
                assert (await modality.set(end(state.value), uid)).status == 0
            request = going_on(StudyID="7", **({"PerformedProcedureStepStatus": status} if status else {}))
            answer = await modality.set(request, uid)
            if status == "ARRIVED":
                assert answer.status == 0x0106
            elif isinstance(SET[(state, PerformedState(status or "IN PROGRESS"))], RefusedEvent):
                assert (answer.status, answer.command.ErrorID) == (0x0110, 0xA710)
                assert answer.command.ErrorComment == "Performed Procedure Step Object may no longer be updated"
            else:
                assert answer.status == 0
        for number, status in enumerate(("COMPLETED", "DISCONTINUED", "SCHEDULED")):
            answer = await modality.create(begin(PerformedProcedureStepStatus=status), f"{UID}.9{number}")
            assert (answer.status, answer.command.AttributeIdentifierList) == (0x0106, 0x00400252)


@sqlite
async def test_requests_are_counted_by_status(start: Start) -> None:
    def count(operation: str, status: str) -> float:
        labels = {"operation": operation, "status": status}
        return metrics.REGISTRY.get_sample_value("gateway_performed_step_requests_total", labels) or 0

    wanted = [("N-CREATE", "0000"), ("N-CREATE", "0106"), ("N-SET", "0112"), ("N-GET", "0001")]
    before = [count(*one) for one in wanted]
    async with start() as gateway:
        modality = modality_of(gateway)
        await modality.create(begin(), UID)
        await modality.create(begin(PerformedProcedureStepStatus="COMPLETED"), f"{UID}.1")
        await modality.set(end(), f"{UID}.2")
        await modality.get(UID, 0x00400280)
    assert [count(*one) for one in wanted] == [one + 1 for one in before]


@sqlite
async def test_an_n_create_after_a_lost_answer_and_a_uid_of_another(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway)
        modality = modality_of(gateway)
        assert (await modality.create(begin(), UID)).status == 0
        assert (await modality.create(begin(), UID)).status == 0
        assert (await modality.create(begin(PerformedProcedureStepID="PPS2"), UID)).status == 0x0111
        assert len(await kept(gateway)) == 1
        assert await states(gateway) == {"SPS1": "STARTED"}


async def test_the_same_n_create_many_times_at_once_is_one(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway)
        modality = modality_of(gateway)
        answers = await asyncio.gather(*(modality.create(begin(), UID) for _ in range(8)))
        assert {answer.status for answer in answers} == {0}
        assert len(await kept(gateway)) == 1


@sqlite
async def test_an_instance_that_is_assigned_can_be_set(start: Start) -> None:
    """PS3.7 10.1.5: an N-CREATE without Affected SOP Instance UID."""
    async with start() as gateway:
        await ordered(gateway)
        modality = modality_of(gateway)
        answer = await modality.create(begin())
        assert answer.status == 0
        assert answer.uid.startswith("2.25.")
        assert (await modality.set(end(), answer.uid)).status == 0
        assert await states(gateway) == {"SPS1": "COMPLETED"}


@sqlite
async def test_unknown_and_malformed_instances(start: Start) -> None:
    async with start() as gateway:
        modality = modality_of(gateway)
        assert (await modality.set(end(), UID)).status == 0x0112
        assert (await modality.get(UID)).status == 0x0112


@sqlite
async def test_n_get_answers_what_is_kept(start: Start) -> None:
    async with start() as gateway:
        modality = modality_of(gateway)
        doses = going_on(KVP="120.5", DiffusionBValue=1.5, ExposuresOnDetectorSinceLastCalibration=7, SeriesNumber="")
        await modality.create(begin(PatientName="Müller^Änne", ExposureDoseSequence=[doses]), UID)
        answer = await modality.get(UID, 0x00400252, 0x00100010, 0x00400250)
        assert answer.status == 0
        assert answer.dataset is not None
        assert answer.dataset.PerformedProcedureStepStatus == "IN PROGRESS"
        assert str(answer.dataset.PatientName) == "Müller^Änne"
        assert not answer.dataset.PerformedProcedureStepEndDate
        answer = await modality.get(UID, 0x00400252, 0x00400280)
        assert (answer.status, answer.command.AttributeIdentifierList) == (0x0001, 0x00400280)
        answer = await modality.get(UID)
        assert answer.dataset is not None
        assert answer.dataset.ScheduledStepAttributesSequence[0].AccessionNumber == "ACC1"
        [dose] = answer.dataset.ExposureDoseSequence
        assert (dose.KVP, dose.DiffusionBValue, dose.SeriesNumber) == (120.5, 1.5, None)


@sqlite
async def test_an_examination_of_many_images(start: Start) -> None:
    """The N-SET is longer than what is read on the event loop."""
    images = [going_on(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID=f"{UID}.1.{n}")
              for n in range(2000)]  # fmt: skip
    async with start() as gateway:
        modality = modality_of(gateway)
        await modality.create(begin(), UID)
        long = series()
        long.ReferencedImageSequence = images
        assert (await modality.set(end(PerformedSeriesSequence=[long]), UID)).status == 0
        [row] = await kept(gateway)
        assert len(row["attributes"]["PerformedSeriesSequence"][0]["ReferencedImageSequence"]) == 2000


@sqlite
async def test_an_appended_acquisition(start: Start) -> None:
    """A step is over with the last performed step that is under way, and completed when any was completed."""
    async with start() as gateway:
        await ordered(gateway)
        modality = modality_of(gateway)
        await modality.create(begin(), f"{UID}.1")
        await modality.create(begin(PerformedProcedureStepID="PPS2"), f"{UID}.2")
        await modality.set(end(), f"{UID}.1")
        assert await states(gateway) == {"SPS1": "STARTED"}
        await modality.set(end("DISCONTINUED"), f"{UID}.2")
        assert await states(gateway) == {"SPS1": "COMPLETED"}
        await modality.create(begin(PerformedProcedureStepID="PPS3"), f"{UID}.3")
        assert await states(gateway) == {"SPS1": "STARTED"}
        await modality.set(end(reason=WRONG_ENTRY, status="DISCONTINUED"), f"{UID}.3")
        assert await states(gateway) == {"SPS1": "COMPLETED"}


@sqlite
async def test_a_sequence_is_replaced_as_a_whole(start: Start) -> None:
    async with start() as gateway:
        modality = modality_of(gateway)
        await modality.create(begin(), UID)
        for uids in (["1.1"], ["1.1", "1.2"], ["1.3"]):
            request = going_on(PerformedProcedureStepStatus="IN PROGRESS")
            request.PerformedSeriesSequence = [series(uid) for uid in uids]
            assert (await modality.set(request, UID)).status == 0
            [row] = await kept(gateway)
            assert [one["SeriesInstanceUID"] for one in row["attributes"]["PerformedSeriesSequence"]] == uids


GROUP = (
    orm(),
    orm(
        control_id="2", placer="P2", filler="F2", accession="ACC2", procedure="RP2", step="SPS2", study_uid="1.2.3.4.6"
    ),
)


@sqlite
async def test_every_step_of_a_group_moves(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway, *GROUP)
        modality = modality_of(gateway)
        both = (item(), item("1.2.3.4.6", "SPS2", "ACC2", "RP2"))
        assert (await modality.create(begin(*both), UID)).status == 0
        assert await states(gateway) == {"SPS1": "STARTED", "SPS2": "STARTED"}
        await modality.set(end(), UID)
        assert await states(gateway) == {"SPS1": "COMPLETED", "SPS2": "COMPLETED"}


@sqlite
@pytest.mark.parametrize(
    ("chosen", "match"),
    [
        (item(step=""), "only step of the study"),
        (item(step="SPS9"), "only step of the study"),
        (item(study="1.9", step=""), "accession number"),
        (item(study="1.9", step="", procedure=""), "accession number"),
        (item(study="1.9", accession=""), None),
        (item(study="1.9", accession="ACC9"), None),
        (item(study="1.9", procedure="RP9", step=""), None),
    ],
)
async def test_matching(start: Start, chosen: Any, match: str | None) -> None:
    async with start() as gateway:
        await ordered(gateway, *GROUP)
        answer = await modality_of(gateway).create(begin(chosen), UID)
        assert answer.status == 0
        expected = {"SPS1": "STARTED" if match else "SCHEDULED", "SPS2": "SCHEDULED"}
        assert await states(gateway) == expected
        assert await matches(gateway) == ([("SPS1", match)] if match else [])
        [row] = await kept(gateway)
        assert bool(findings(row)) == (match != "only step of the study" or chosen.ScheduledProcedureStepID != "")
        assert (await modality_of(gateway).set(end(), UID)).status == 0


@sqlite
async def test_an_unscheduled_examination_is_kept(start: Start) -> None:
    async with start() as gateway:
        modality = modality_of(gateway)
        assert (await modality.create(begin(item("1.9", "", "", "")), UID)).status == 0
        assert (await modality.set(end(), UID)).status == 0
        [row] = await kept(gateway)
        assert row["state"] == "COMPLETED"
        assert findings(row) == [
            "ScheduledStepAttributesSequence: no order has this Study Instance UID, and there is no accession number"
        ]


@sqlite
async def test_a_wrong_entry_returns_its_step(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway)
        modality = modality_of(gateway)
        await modality.create(begin(), UID)
        answer = await modality.set(end("DISCONTINUED", WRONG_ENTRY, PerformedSeriesSequence=[]), UID)
        assert answer.status == 0
        assert await states(gateway) == {"SPS1": "SCHEDULED"}
        # The step can be changed and performed again.
        await ordered(gateway, orm(control="XO", control_id="2", at=hl7_time(), start="20301126070000"))
        assert (await modality.create(begin(), f"{UID}.2")).status == 0
        assert (await modality.set(end("DISCONTINUED", "110513"), f"{UID}.2")).status == 0
        assert await states(gateway) == {"SPS1": "DISCONTINUED"}


@sqlite
async def test_a_wrong_entry_of_a_cancelled_order_leaves_it_cancelled(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway, orm(), orm(control="CA", control_id="2", at=hl7_time(minutes=2)))
        modality = modality_of(gateway)
        await modality.create(begin(), UID)
        await modality.set(end("DISCONTINUED", WRONG_ENTRY), UID)
        assert await states(gateway) == {"SPS1": "CANCELED"}


@sqlite
async def test_another_patient_is_a_finding_and_nothing_is_overwritten(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway)
        request = begin(PatientID="PAT9", PatientName="OTHER^PERSON")
        assert (await modality_of(gateway).create(request, UID)).status == 0
        [row] = await kept(gateway)
        assert findings(row) == ["PatientID: is not that of the order's patient; nothing of the patient is overwritten"]
        assert await states(gateway) == {"SPS1": "STARTED"}
        [patient] = await gateway.store.read(lambda c: c.execute(worklist_rows.ITEMS).mappings().all())
        assert (patient["patient_id"], patient["patient"]["PatientName"]) == ("PAT1", "MUSTER^MAX")


@sqlite
@pytest.mark.parametrize(
    ("control", "alarm"), [("CA", "was cancelled, and is performed all the same"), ("HD", "is on hold, and is")]
)
async def test_an_examination_of_a_cancelled_order_is_kept_with_a_finding(
    start: Start, control: str, alarm: str
) -> None:
    async with start() as gateway:
        await ordered(gateway, orm(), orm(control=control, control_id="2", at="20260123130000"))
        modality = modality_of(gateway)
        assert (await modality.create(begin(), UID)).status == 0
        assert await states(gateway) == {"SPS1": "STARTED"}
        [row] = await kept(gateway)
        assert alarm in findings(row)[0]
        await modality.set(end(), UID)
        assert await states(gateway) == {"SPS1": "COMPLETED"}


@sqlite
async def test_a_console_that_leaves_out_what_it_likes(start: Start) -> None:
    """No attribute but the item that tells what is performed, and an N-SET with the status alone."""
    async with start() as gateway:
        await ordered(gateway)
        modality = modality_of(gateway)
        bare = going_on(ScheduledStepAttributesSequence=[going_on(StudyInstanceUID="1.2.3.4.5")])
        assert (await modality.create(bare, UID)).status == 0
        assert await states(gateway) == {"SPS1": "STARTED"}
        assert (await modality.set(going_on(PerformedProcedureStepStatus="COMPLETED"), UID)).status == 0
        assert await states(gateway) == {"SPS1": "COMPLETED"}
        [row] = await kept(gateway)
        places = {one["place"] for one in row["findings"]}
        assert {"PerformedProcedureStepID", "PerformedSeriesSequence", "PerformedProcedureStepEndDate"} <= places


@sqlite
async def test_what_tells_the_step_is_needed(start: Start) -> None:
    async with start() as gateway:
        modality = modality_of(gateway)
        without = begin()
        del without.ScheduledStepAttributesSequence
        answers = [
            await modality.create(one, UID)
            for one in (without, begin(ScheduledStepAttributesSequence=[]), begin(item(study="")), None)
        ]
        assert [answer.status for answer in answers] == [0x0120, 0x0121, 0x0121, 0x0120]
        assert {int(answer.command.AttributeIdentifierList) for answer in answers} == {0x00400270}
        assert await kept(gateway) == []
        reasons = [row["reason"] for row in await gateway.store.read(refusals.listing)]
        assert reasons[0].startswith("N-CREATE 0120 ScheduledStepAttributesSequence")


@sqlite
async def test_a_strict_peer_is_refused_what_the_standard_forbids(start: Start) -> None:
    async with start(dicom=Dicom(port=0, peers=[DicomPeer(ae_title="CT1", mpps="strict")])) as gateway:
        modality = modality_of(gateway)
        without = begin()
        del without.PerformedLocation
        answer = await modality.create(without, UID)
        assert (answer.status, answer.command.AttributeIdentifierList) == (0x0120, 0x00400243)
        assert (await modality.create(begin(Modality=""), UID)).status == 0x0121
        assert (await modality.create(begin(), UID)).status == 0
        assert (await modality.set(going_on(PatientID="PAT9"), UID)).status == 0x0106
        assert (await modality.set(going_on(PerformedProcedureStepStatus="COMPLETED"), UID)).status == 0x0121
        assert (await modality.set(end(), UID)).status == 0
        assert (await modality_of(gateway, "MR1").create(without, f"{UID}.1")).status == 0


@sqlite
async def test_without_the_service_the_context_is_refused(start: Start) -> None:
    async with start(dicom=Dicom(port=0, peers=[DicomPeer(ae_title="CT1", services=["worklist"])])) as gateway:
        with pytest.raises((RuntimeError, ValueError)):
            await modality_of(gateway).create(begin(), UID)


async def test_the_database_is_away(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway)
        await gateway.store.close()
        assert (await modality_of(gateway).create(begin(), UID)).status == 0x0213


@sqlite
async def test_late_and_early_messages_come_to_the_same(start: Start) -> None:
    """Cancel after the start is refused; cancel and change of before the start leave what is performed."""
    change = orm(control="XO", control_id="4", at=hl7_time(minutes=5), start="20301126070000")
    before = [
        orm(at=hl7_time(hours=2)),
        orm(control="CA", status="CA", control_id="2", at=hl7_time(minutes=30)),
        orm(control="XO", control_id="3", at=hl7_time(minutes=20), start="20301125080000"),
    ]
    async with start() as gateway:
        await ordered(gateway, before[0])
        modality = modality_of(gateway)
        await modality.create(begin(**start_time(minutes=10)), UID)
        [ack] = await send(gateway, orm(control="CA", status="CA", control_id="9", at=hl7_time(minutes=1)))
        assert told(ack)[:2] == ("AE", "207")
        await ordered(gateway, *reversed(before[1:]), change)
        late = await what(gateway)
    assert late == ("STARTED", "20301125", "0800"), "what was changed before the start counts, later changes do not"


async def what(gateway: app.Running) -> tuple[str, str, str]:
    [row] = await gateway.store.read(lambda c: c.execute(worklist_rows.ITEMS).mappings().all())
    step = row["step"]
    return row["state"], step["ScheduledProcedureStepStartDate"], step["ScheduledProcedureStepStartTime"][:4]


@sqlite
async def test_a_modality_whose_clock_is_behind_that_of_the_ris(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway, orm(at=hl7_time(minutes=5)))
        modality = modality_of(gateway)
        await modality.create(begin(**start_time(minutes=15)), UID)
        assert await states(gateway) == {"SPS1": "STARTED"}
        await ordered(gateway, orm(control="XO", control_id="2", at=hl7_time(minutes=20), start="20301125080000"))
        assert (await what(gateway))[0] == "STARTED"


@sqlite
async def test_the_journey_shows_what_was_performed(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway)
        modality = modality_of(gateway)
        await modality.create(begin(PatientID="PAT9"), UID)
        await modality.set(end("DISCONTINUED", WRONG_ENTRY), UID)
        await modality.create(begin(item("1.9", "", "ACC1", "RP9")), f"{UID}.2")
        shown = await journey(gateway.store, AccessionNumber("ACC1"))
        assert shown is not None
        first, second = shown["performed_steps"]
        assert (first["sop_uid"], first["state"], first["calling_ae"]) == (UID, "DISCONTINUED", "CT1")
        assert [(one["step_id"], one["match"]) for one in first["links"]] == [("SPS1", "study and step")]
        assert first["findings"][0]["place"] == "PatientID"
        assert second["links"] == []
        texts = [event["text"] for event in shown["events"] if event["station"] == "performed_step"]
        assert texts[0].startswith("CT1 began an examination of step SPS1 (by study and step)")
        assert "PatientID: is not that of the order's patient" in texts[0]
        assert texts[1] == "CT1 ended it: DISCONTINUED, the wrong worklist entry was chosen"
        assert texts[2].startswith("CT1 began an examination of no scheduled step; ScheduledStepAttributesSequence: ")
