"""Objects of every kind go the whole way over C-STORE: stored, or refused with a reason; what EHRs get is valid."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import Connection, select

from gateway.assembly import process as app
from gateway.config.dicom import Dicom
from gateway.errors import Rejected
from gateway.journey.study_arrival.reading import InstanceReader
from gateway.journey.study_arrival.station import incoming_of
from gateway.records.arrival import InstanceArrival
from gateway.records.finding import Finding
from gateway.simulators.ehr import EhrSimulator
from gateway.store import Store, outbox_listing, refusals, study_findings
from gateway.store.schema import studies
from gateway.wire.dimse import StoreRequest
from gateway.wire.dimse import requestor_operations as operations
from gateway.wire.dimse.requestor import associated
from gateway.wire.dimse.requestor_pdu import Proposal
from gateway.wire.dimse.requestor_peer import RequestedPeer, Timeouts
from gateway.wire.fhir.validation import faults_of_imaging_study
from tests.journey.running import Start, quiet
from tests.mapping.samples import SHIPPED
from tests.mapping.studies.made_objects import KINDS, NUMBER, PRIVATE_CLASS, UIDS, made_objects
from tests.mapping.studies.test_arrival_order import of_order

MOST_CONTEXTS = 100


async def stored(gateway: app.Running, requests: Iterable[StoreRequest]) -> dict[str, int]:
    """SOP Instance UID -> status of its C-STORE, of instances that are sent in this order."""
    peer = RequestedPeer("127.0.0.1", gateway.dicom_port, "GATEWAY", "CT1", Timeouts.of(20))
    waiting, statuses = list(requests), {}
    while waiting:
        batch: list[StoreRequest] = []
        contexts: dict[tuple[str, str], None] = {}
        while waiting and len(contexts) < MOST_CONTEXTS:
            batch.append(waiting.pop(0))
            contexts[batch[-1].sop_class_uid, batch[-1].transfer_syntax_uid] = None
        async with associated(peer, [Proposal(name, (syntax,)) for name, syntax in contexts]) as association:
            for one in batch:
                context = operations.context_for(association, one.sop_class_uid, one.transfer_syntax_uid)
                answer = await operations.store(association, context, one.sop_instance_uid, bytes(one.data))
                statuses[one.sop_instance_uid] = answer.status
    return statuses


def findings(connection: Connection) -> list[tuple[Finding, ...]]:
    """What was remarkable of each study when its instances arrived."""
    rows = connection.execute(select(studies.c.id)).scalars().all()
    return [study_findings.of_arrival(connection, row) for row in rows]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_object_is_stored_or_refused_with_a_reason(start: Start) -> None:
    made = list(made_objects())
    assert len(made) == NUMBER
    assert {one.kind for one in made} == set(KINDS)
    random.Random(7).shuffle(made)
    dicom = Dicom(port=0, storage_classes=[PRIVATE_CLASS])
    async with EhrSimulator() as ehr, start(ehr.url, dicom=dicom) as gateway:
        statuses = await stored(gateway, (one.request for one in made))
        await quiet(gateway)
        stuck = await gateway.store.read(lambda one: outbox_listing.listing(one, states=("parked", "rejected")))
        reasons = [one["reason"] for one in await gateway.store.read(refusals.listing)]
        resources = ehr.resources("ImagingStudy")
        found = await gateway.store.read(findings)
    refused = [one for one in made if statuses[one.request.sop_instance_uid] != 0]
    assert all(one.spoiled in UIDS for one in refused)
    assert len(reasons) == len(refused)
    assert all(any(f"{name} is missing" in reason for name in UIDS) for reason in reasons)
    assert {row["outcome"]["place"] for row in stuck} <= {"PatientID"}
    lacking = {one.place for rows in found for one in rows}
    assert {"Modality", "SOPClassUID"} <= lacking
    assert [fault for one in resources for fault in faults_of_imaging_study(one)] == []
    told = sum(one["numberOfInstances"] for one in resources)
    assert told == len(made) - len(refused)
    _check_frames_and_titles(resources)


def _check_frames_and_titles(resources: list[dict[str, Any]]) -> None:
    """Anatomy and side of frames, and titles of documents, where the object gives them."""
    all_series = [series for resource in resources for series in resource["series"]]
    of_class = {one["sopClass"]["code"]: series for series in all_series for one in series["instance"]}
    kinds = ("enhanced multi-frame", "frames of both sides")
    one_side, two_sides = (of_class[f"urn:oid:{KINDS[kind][0]}"] for kind in kinds)
    assert [one["bodySite"]["code"] for one in (one_side, two_sides)] == ["72696002"] * 2
    assert (one_side["laterality"]["code"], two_sides.get("laterality")) == ("24028007", None)
    titles = {one.get("title") for series in all_series for one in series["instance"]}
    assert {"Diagnostic imaging report", "Of Interest", "Discharge letter", "ORGANS"} <= titles


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_order_of_made_objects_gives_one_resource(store: Store) -> None:
    reader = InstanceReader(SHIPPED.studies.keywords)
    of_study: dict[str, list[InstanceArrival]] = defaultdict(list)
    for one in made_objects():
        try:
            arrival = reader.read(incoming_of(one.request), 1)
        except Rejected:
            continue
        of_study[arrival.study_uid].append(arrival)
    shuffled = random.Random(2)
    for uid, instances in of_study.items():
        first = await of_order(store, uid, instances)
        for _ in range(3):
            shuffled.shuffle(instances)
            assert await of_order(store, uid, instances) == first, uid
