"""Notifications of studies at an archive or RIS: what it receives, whatever it does meanwhile."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    InstanceAvailabilityNotification,
    ModalityPerformedProcedureStep,
)

from bench.ports import free_port
from gateway.assembly import process as app
from gateway.clock import now
from gateway.config.destinations import DestinationRetry
from gateway.config.dicom import Dicom
from gateway.config.dicom_destinations import DicomDestination
from gateway.operations.journey_of import journey
from gateway.operations.parked import parked_work
from gateway.records.identifiers import AccessionNumber
from gateway.store import outbox_listing
from gateway.wire.dimse import client
from tests.conftest import comes_true, until
from tests.journey.modality import begin, modality_of
from tests.journey.running import Start, quiet
from tests.journey.test_performed_step import ordered
from tests.peers.pynetdicom_mpps import CLASSES, mpps_scp
from tests.wire.dimse.peers import HOST, PEER, instance

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

UID = "1.2.826.0.1.3680043.8.498.11"
STUDY = "1.2.3.4.5"


def dicom(port: int, **values: Any) -> Dicom:
    """A configuration with a destination of notifications on this port, which is tried again soon."""
    retry = DestinationRetry(first_seconds=0.05, max_seconds=0.1)
    settings: dict[str, Any] = {"ian": True, "retrieve_ae": "ARCHIVE", "timeout_seconds": 60, "retry": retry, **values}
    return Dicom(port=0, destinations=[DicomDestination(name="ris", ae_title="RIS", port=port, **settings)])


async def store(gateway: app.Running, *uids: str) -> None:
    """Store images of the study."""
    images = []
    for uid in uids:
        image = instance()
        image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID = STUDY, STUDY + ".1", uid
        image.Modality, image.PatientID = "CT", "PAT1"
        images.append(image)
    sent = await client.store(HOST, gateway.dicom_port, images, **PEER)
    assert sent == [(uid, 0) for uid in uids]


def stated(dataset: Dataset) -> list[tuple[str, str, str]]:
    """Instance, availability and where it can be retrieved."""
    return [
        (str(one.ReferencedSOPInstanceUID), one.InstanceAvailability, one.RetrieveAETitle)
        for series in dataset.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    ]


async def test_a_study_that_has_settled_or_grown_is_notified_once(start: Start) -> None:
    with mpps_scp() as scp:
        async with start(dicom=dicom(scp.port, mpps=True)) as gateway:
            await ordered(gateway)
            assert (await modality_of(gateway).create(begin(), UID)).status == 0
            await store(gateway, "1.2.3.1")
            await quiet(gateway)
            await store(gateway, "1.2.3.1", "1.2.3.2")
            await quiet(gateway)
            shown = await journey(gateway.store, AccessionNumber("ACC1"))
    first, second = [(uid, dataset) for _, uid, dataset in scp.requests if "ReferencedSeriesSequence" in dataset]
    assert stated(first[1]) == [("1.2.3.1", "ONLINE", "ARCHIVE")]
    assert stated(second[1]) == [("1.2.3.1", "ONLINE", "ARCHIVE"), ("1.2.3.2", "ONLINE", "ARCHIVE")]
    assert first[0] != second[0]
    [step] = second[1].ReferencedPerformedProcedureStepSequence
    assert (step.ReferencedSOPClassUID, step.ReferencedSOPInstanceUID) == (ModalityPerformedProcedureStep, UID)
    assert second[1].StudyInstanceUID == STUDY
    assert shown is not None
    texts = [one["text"] for one in shown["events"] if "availability" in one["text"]]
    assert texts == ["availability notification made at ris, answered 0000"] * 2


async def test_a_notification_outlives_a_restart(start: Start) -> None:
    port = free_port()
    async with start(dicom=dicom(port)) as gateway:
        await store(gateway, "1.2.3.1")
        waiting = partial(outbox_listing.listing, states=("pending", "leased"))
        await comes_true(lambda: gateway.store.read(waiting), lambda rows: [row["kind"] for row in rows] == ["ian:ris"])
    with mpps_scp(port) as scp:
        async with start(dicom=dicom(port)) as gateway:
            await quiet(gateway)
    assert [stated(dataset) for _, _, dataset in scp.requests] == [[("1.2.3.1", "ONLINE", "ARCHIVE")]]


@pytest.mark.parametrize(
    ("statuses", "requests", "parked"),
    [([0x0213, 0x0110], 3, []), ([0x0111], 1, ["0111"]), ([0x0213, 0x0111], 2, []), ([0x0120], 1, ["0120"])],
)
async def test_what_an_answer_leads_to(start: Start, statuses: list[int], requests: int, parked: list[str]) -> None:
    with mpps_scp() as scp:
        scp.statuses.extend(statuses)
        async with start(dicom=dicom(scp.port)) as gateway:
            await store(gateway, "1.2.3.1")
            await quiet(gateway)
            rows = (await gateway.store.read(partial(parked_work, most=9))).deliveries
            assert [one["outcome"]["status"] for one in rows] == parked
            assert len(scp.requests) == requests
            ids = [one["id"] for one in rows]
            await gateway.store.write(lambda connection: outbox_listing.replay(connection, ids, now=now()))
            await quiet(gateway)
    assert len({uid for _, uid, _ in scp.requests}) == 1


async def test_performed_steps_do_not_wait_for_a_service_that_is_not_accepted(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = tuple(one for one in CLASSES if one != InstanceAvailabilityNotification)
    monkeypatch.setattr("tests.peers.pynetdicom_mpps.CLASSES", others)
    with mpps_scp() as scp:
        async with start(dicom=dicom(scp.port, mpps=True)) as gateway:
            await store(gateway, "1.2.3.1")
            assert (await modality_of(gateway).create(begin(), UID)).status == 0
            await until(lambda: UID in scp.steps)
