"""Performed steps at another MPPS SCP: what it receives, in order and once each, whatever it does meanwhile."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from bench.ports import free_port
from gateway.clock import now
from gateway.config.destinations import DestinationRetry
from gateway.config.dicom import Dicom
from gateway.config.dicom_destinations import DicomDestination
from gateway.operations.journey_of import journey
from gateway.operations.parked import parked_work
from gateway.records.identifiers import AccessionNumber
from gateway.store import outbox_listing
from tests.conftest import until
from tests.journey.modality import begin, end, going_on, item, modality_of, series
from tests.journey.running import Start, quiet
from tests.journey.test_performed_step import ordered
from tests.peers.pynetdicom_mpps import MppsScp, mpps_scp

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

UID = "1.2.826.0.1.3680043.8.498.8"


def dicom(*ports: int) -> Dicom:
    """A configuration with destinations `pacs0`, `pacs1` ... on these ports, which are tried again soon."""
    destinations = [
        DicomDestination(
            name=f"pacs{number}",
            ae_title="PACS",
            port=port,
            mpps=True,
            timeout_seconds=60,
            retry=DestinationRetry(first_seconds=0.05, max_seconds=0.1),
        )
        for number, port in enumerate(ports)
    ]
    return Dicom(port=0, destinations=destinations)


def operations_at(scp: MppsScp) -> list[tuple[str, str]]:
    return [(operation, uid) for operation, uid, _ in scp.requests]


async def test_a_pacs_gets_what_the_modality_states(start: Start) -> None:
    with mpps_scp() as scp:
        async with start(dicom=dicom(scp.port)) as gateway:
            await ordered(gateway)
            modality = modality_of(gateway)
            assert (await modality.create(begin(PatientName="MÜSTER^MAX"), UID)).status == 0
            assert (await modality.set(going_on(PerformedSeriesSequence=[series()]), UID)).status == 0
            assert (await modality.set(end(PerformedSeriesSequence=[series(), series("1.2.9")]), UID)).status == 0
            await quiet(gateway)
            shown = await journey(gateway.store, AccessionNumber("ACC1"))
    assert operations_at(scp) == [("N-CREATE", UID), ("N-SET", UID), ("N-SET", UID)]
    [_, _, created], *_ = scp.requests
    [scheduled] = created.ScheduledStepAttributesSequence
    assert (str(created.PatientName), scheduled.AccessionNumber) == ("MÜSTER^MAX", "ACC1")
    assert "ReferencedPatientSequence" in created
    assert [one.SeriesInstanceUID for one in scp.steps[UID].PerformedSeriesSequence] == ["1.2.3.4.5.1", "1.2.9"]
    assert {dataset.SpecificCharacterSet for _, _, dataset in scp.requests} == {"ISO_IR 192"}
    assert shown is not None
    sent = [one["text"] for one in shown["events"] if one["station"] == "step_forwarding"]
    assert sorted(sent) == [
        "N-CREATE made at pacs0, answered 0000",
        "N-SET made at pacs0, answered 0000",
        "N-SET made at pacs0, answered 0000",
    ]


async def test_a_pacs_that_is_down_holds_no_other_and_gets_all_in_order(start: Start) -> None:
    port = free_port()
    unscheduled = begin(item(study="1.2.99", step="", accession="", procedure=""))
    with mpps_scp() as up:
        async with start(dicom=dicom(port, up.port)) as gateway:
            await ordered(gateway)
            modality = modality_of(gateway)
            assert (await modality.create(begin(), UID)).status == 0
            assert (await modality.create(unscheduled, UID + ".1")).status == 0
            assert (await modality.set(end(), UID)).status == 0
            await until(lambda: len(up.requests) == 3)
            with mpps_scp(port) as down:
                await quiet(gateway)
    assert sorted(operations_at(down)) == sorted(operations_at(up))
    assert [one for one in operations_at(down) if one[1] == UID] == [("N-CREATE", UID), ("N-SET", UID)]


@pytest.mark.parametrize(
    ("statuses", "made"),
    [
        ([0x0213, 0xA700], ["N-CREATE"] * 3 + ["N-SET"]),
        ([0x0110] * 3, ["N-CREATE"] * 4 + ["N-SET"]),
        ([0, 0x0213], ["N-CREATE", "N-SET", "N-SET"]),
    ],
)
async def test_what_may_pass_is_sent_again(start: Start, statuses: list[int], made: list[str]) -> None:
    with mpps_scp() as scp:
        scp.statuses.extend(statuses)
        async with start(dicom=dicom(scp.port)) as gateway:
            modality = modality_of(gateway)
            assert (await modality.create(begin(), UID)).status == 0
            assert (await modality.set(end(), UID)).status == 0
            await quiet(gateway)
            assert (await gateway.store.read(partial(parked_work, most=9))).deliveries == []
    assert [operation for operation, _ in operations_at(scp)] == made
    assert scp.steps[UID].PerformedProcedureStepStatus == "COMPLETED"


async def test_a_duplicate_of_ours_is_done_and_of_another_waits_for_a_person(start: Start) -> None:
    with mpps_scp() as scp:
        scp.steps[UID] = begin()  # the answer to our N-CREATE was lost
        scp.steps[UID + ".1"] = begin(PerformedProcedureStepID="OTHER")
        async with start(dicom=dicom(scp.port)) as gateway:
            modality = modality_of(gateway)
            assert (await modality.create(begin(), UID)).status == 0
            assert (await modality.create(begin(), UID + ".1")).status == 0
            await quiet(gateway)
            parked = (await gateway.store.read(partial(parked_work, most=9))).deliveries
    assert [(one["kind"], one["state"]) for one in parked] == [("mpps:pacs0", "parked")]
    assert "N-CREATE status 0111" in str(parked[0])


async def test_a_step_that_the_pacs_does_not_have_waits_for_a_person_and_is_sent_again(start: Start) -> None:
    with mpps_scp() as scp:
        scp.statuses.append(0x0120)
        async with start(dicom=dicom(scp.port)) as gateway:
            modality = modality_of(gateway)
            assert (await modality.create(begin(), UID)).status == 0
            assert (await modality.set(end(), UID)).status == 0
            await quiet(gateway)
            parked: list[dict[str, Any]] = (await gateway.store.read(partial(parked_work, most=9))).deliveries
            assert sorted(str(one["outcome"]["status"]) for one in parked) == ["0112", "0120"]
            rows = sorted(one["id"] for one in parked)
            await gateway.store.write(lambda connection: outbox_listing.replay(connection, rows, now=now()))
            await quiet(gateway)
            assert (await gateway.store.read(partial(parked_work, most=9))).deliveries == []
    assert scp.steps[UID].PerformedProcedureStepStatus == "COMPLETED"


async def test_a_refused_request_waits_for_a_person_whatever_is_accepted_after_it(start: Start) -> None:
    with mpps_scp() as scp:
        scp.statuses.extend([0, 0x0106])
        async with start(dicom=dicom(scp.port)) as gateway:
            modality = modality_of(gateway)
            assert (await modality.create(begin(), UID)).status == 0
            assert (await modality.set(going_on(PerformedSeriesSequence=[series()]), UID)).status == 0
            assert (await modality.set(end(), UID)).status == 0
            await quiet(gateway)
            parked = (await gateway.store.read(partial(parked_work, most=9))).deliveries
            assert [one["outcome"]["status"] for one in parked] == ["0106"]
            rows = [one["id"] for one in parked]
            await gateway.store.write(lambda connection: outbox_listing.replay(connection, rows, now=now()))
            await quiet(gateway)
    assert [operation for operation, _ in operations_at(scp)] == ["N-CREATE", "N-SET", "N-SET", "N-SET"]


async def test_a_final_step_of_the_same_state_is_done(start: Start) -> None:
    with mpps_scp() as scp:
        async with start(dicom=dicom(scp.port)) as gateway:
            modality = modality_of(gateway)
            assert (await modality.create(begin(), UID)).status == 0
            await quiet(gateway)
            scp.steps[UID].PerformedProcedureStepStatus = "COMPLETED"  # our N-SET came, and its answer was lost
            scp.statuses.append(0xA710)
            assert (await modality.set(end(), UID)).status == 0
            await quiet(gateway)
            assert (await gateway.store.read(partial(parked_work, most=9))).deliveries == []
