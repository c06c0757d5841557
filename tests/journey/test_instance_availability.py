"""Instance Availability Notifications: what an archive is answered, and what is shown of it beside what arrived."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import build_context, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    InstanceAvailabilityNotification,
    ModalityPerformedProcedureStep,
)
from sqlalchemy import func, select

from gateway.assembly import process as app
from gateway.config.dicom import Dicom, DicomPeer
from gateway.errors import InvalidValue
from gateway.operations.journey_of import journey
from gateway.records.availability import notified
from gateway.records.identifiers import AccessionNumber
from gateway.store.schema import availability_notifications, refusals
from gateway.wire.dimse import client
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_performed_step import ordered
from tests.wire.dimse.peers import HOST, PEER, associated, instance

UID = "1.2.826.0.1.3680043.8.498.10"
STUDY = "1.2.3.4.5"


def reference(uid: str, availability: str = "ONLINE") -> Dataset:
    made = Dataset()
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", uid
    made.InstanceAvailability, made.RetrieveAETitle = availability, "ARCHIVE"
    return made


def notification(*references: Dataset, **values: Any) -> Dataset:
    """The attributes of an N-CREATE (PS3.4 Table R.3.2-1)."""
    made, series, step = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = STUDY + ".1", list(references)
    step.ReferencedSOPClassUID, step.ReferencedSOPInstanceUID = ModalityPerformedProcedureStep, "1.2.9"
    step.PerformedWorkitemCodeSequence = []
    made.ReferencedPerformedProcedureStepSequence = [step]
    made.StudyInstanceUID, made.ReferencedSeriesSequence = STUDY, [series]
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


async def notify(
    gateway: app.Running,
    attributes: Dataset,
    uid: str | None = UID,
    *,
    sop_class: str = InstanceAvailabilityNotification,
) -> tuple[int, str]:
    """Status and Affected SOP Instance UID; without an accepted presentation context (-1, "")."""
    received: list[Dataset] = []

    def work() -> None:
        context = build_context(InstanceAvailabilityNotification)
        with associated(gateway.dicom_port, context, calling="ARCHIVE") as association:
            if association.is_established:
                association.bind(evt.EVT_DIMSE_RECV, lambda event: received.append(event.message.command_set))
                association.send_n_create(attributes, sop_class, uid, meta_uid=InstanceAvailabilityNotification)

    await asyncio.to_thread(work)
    return (received[0].Status, str(received[0].get("AffectedSOPInstanceUID", ""))) if received else (-1, "")


async def count(gateway: app.Running, table: Any) -> int:
    return await gateway.store.read(lambda connection: connection.execute(select(func.count(table.c.id))).scalar_one())


async def test_what_an_archive_states_is_shown_beside_what_arrived(start: Start) -> None:
    image = instance()
    image.StudyInstanceUID, image.SeriesInstanceUID, image.Modality, image.PatientID = STUDY, STUDY + ".1", "CT", "PAT1"
    stated = notification(reference("1.2.3.4"), reference("1.2.3.5", "NEARLINE"), reference("1.2.3.6"))
    async with start() as gateway:
        await ordered(gateway)
        assert await client.store(HOST, gateway.dicom_port, [image], **PEER) == [("1.2.3.4", 0)]
        assert await notify(gateway, stated) == (0, UID)
        await quiet(gateway)
    async with start() as gateway:
        shown = await journey(gateway.store, AccessionNumber("ACC1"))
    assert shown is not None
    [one] = shown["notifications"]
    assert (one["calling_ae"], one["study_uid"], one["availability"]) == (
        "ARCHIVE",
        STUDY,
        {"ONLINE": 2, "NEARLINE": 1},
    )
    assert (one["named"], one["arrived"], one["missing"]) == (3, 1, ["1.2.3.5", "1.2.3.6"])
    assert (one["retrieve_aes"], one["performed_steps"], one["findings"]) == (["ARCHIVE"], ["1.2.9"], [])
    [text] = [event["text"] for event in shown["events"] if event["station"] == "instance_availability"]
    counted = "2 ONLINE, 1 NEARLINE from ARCHIVE; arrived here: 1, missing: 1.2.3.5, 1.2.3.6"
    assert text == f"ARCHIVE states instances available: {counted}"


@sqlite
async def test_a_sop_instance_uid_is_taken_once(start: Start) -> None:
    async with start() as gateway:
        assert await notify(gateway, notification(reference("1.2.3.4"))) == (0, UID)
        again = [notify(gateway, notification(reference("1.2.3.4")), uid) for uid in (UID, UID + ".1", UID + ".1")]
        assert sorted(await asyncio.gather(*again)) == [(0, UID + ".1"), (0x0111, UID), (0x0111, UID + ".1")]
        status, assigned = await notify(gateway, notification(reference("1.2.3.4")), None)
        assert (status, assigned[:5]) == (0, "2.25.")
        assert await count(gateway, availability_notifications) == 3


@sqlite
async def test_what_tells_the_study_is_needed_and_no_other(start: Start) -> None:
    nothing = notification()
    del nothing.StudyInstanceUID
    odd = reference("1.2.3.5", "SOMEWHERE")
    nameless = reference("1.2.3.6")
    del nameless.ReferencedSOPInstanceUID
    async with start() as gateway:
        await ordered(gateway)
        assert (await notify(gateway, nothing))[0] == 0x0120
        assert (await notify(gateway, notification(StudyInstanceUID="")))[0] == 0x0121
        assert (await notify(gateway, notification(odd, nameless)))[0] == 0
        assert (await notify(gateway, notification(ReferencedSeriesSequence=[]), UID + ".1"))[0] == 0
        assert (await notify(gateway, notification(), UID + ".2", sop_class=ModalityPerformedProcedureStep))[
            0
        ] == 0x0118
        shown = await journey(gateway.store, AccessionNumber("ACC1"))
        assert (await count(gateway, availability_notifications), await count(gateway, refusals)) == (2, 2)
    assert shown is not None
    assert [[finding["text"] for finding in one["findings"]] for one in shown["notifications"]] == [
        ["1 items have none", "'SOMEWHERE' is none, of 1"],
        ["names no instances"],
    ]


@sqlite
async def test_a_peer_whose_services_leave_it_out_is_not_accepted(start: Start) -> None:
    peer = DicomPeer(ae_title="ARCHIVE", services=["storage"])
    async with start(dicom=Dicom(port=0, peers=[peer])) as gateway:
        assert await notify(gateway, notification(reference("1.2.3.4"))) == (-1, "")


def test_a_study_instance_uid_that_is_too_long() -> None:
    with pytest.raises(InvalidValue, match="65 characters"):
        notified({"StudyInstanceUID": "1" * 65})


def test_other_things_in_place_of_sequences() -> None:
    found = notified({"StudyInstanceUID": STUDY, "ReferencedSeriesSequence": "x"})
    assert [finding.text for finding in found.findings] == ["names no instances"]
    found = notified({"StudyInstanceUID": STUDY, "ReferencedSeriesSequence": [{"ReferencedSOPSequence": "x"}]})
    assert [finding.text for finding in found.findings] == ["names no instances"]
