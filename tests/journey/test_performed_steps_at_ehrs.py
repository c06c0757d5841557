"""What an EHR is told of an examination: ServiceRequest, Task and Procedure, at a real FHIR server."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.assembly.process import Running
from gateway.config.ehrs import Ehr
from gateway.config.receiver import Retry
from gateway.operations.journey_of import journey
from gateway.records.identifiers import AccessionNumber
from gateway.store import outbox_listing
from tests.journey.messages import orm
from tests.journey.modality import begin, end, item, modality_of
from tests.journey.running import Start, quiet
from tests.journey.test_order_intake import send, told
from tests.journey.test_performed_links import post
from tests.journey.test_performed_step import UID
from tests.peers.fhir_server import FhirServer
from tests.peers.fhir_validators import Validators

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def ehr(url: str, name: str = "ehr0", **more: Any) -> Ehr:
    return Ehr(name=name, url=url, retry=Retry(first_seconds=0.1, max_seconds=0.5), **more)


def everything(url: str, **more: Any) -> list[Ehr]:
    return [ehr(url, orders="write", tasks="write", procedures="write", **more)]


async def statuses(server: FhirServer, *kinds: str) -> list[str]:
    found = [one for kind in kinds for one in await server.resources(kind)]
    return [f"{one['resourceType']} {one['status']}" for one in found]


async def versions(server: FhirServer) -> list[str]:
    found = [one for kind in ("Task", "Procedure") for one in await server.resources(kind)]
    return [one["meta"]["versionId"] for one in found]


async def ordered(gateway: Running, *messages: bytes) -> None:
    acks = await send(gateway, *(messages or (orm(),)))
    assert [told(ack)[0] for ack in acks] == ["AA"] * len(acks)
    await quiet(gateway)


async def test_an_ehr_follows_an_examination(
    start: Start, fhir_server: FhirServer, fhir_validators: Validators
) -> None:
    """Ordered, begun, completed: one resource of each kind, each in its place, valid for the validators of others."""
    both = ("ServiceRequest", "Task", "Procedure")
    async with start(ehrs=everything(fhir_server.url)) as gateway:
        modality = modality_of(gateway)
        await ordered(gateway)
        assert await statuses(fhir_server, *both) == ["ServiceRequest active", "Task requested"]
        deliveries = await gateway.store.read(lambda one: outbox_listing.listing(one, states=("done",)))
        notes = [str((one["outcome"] or {}).get("note", "")) for one in deliveries]
        assert max(note.count("holds no ServiceRequest") for note in notes) <= 1, "focus and basedOn are one look"
        assert (await modality.create(begin(), UID)).status == 0
        await quiet(gateway)
        assert await statuses(fhir_server, *both) == ["ServiceRequest active", "Task in-progress"]
        assert (await modality.set(end("COMPLETED"), UID)).status == 0
        await quiet(gateway)
        assert await statuses(fhir_server, *both) == [
            "ServiceRequest completed", "Task completed", "Procedure completed",
        ]  # fmt: skip
        [request], [task], [procedure] = [await fhir_server.resources(kind) for kind in both]
        for resource in (request, task, procedure):
            assert {name: one for name, one in fhir_validators.findings("R4", resource).items() if one} == {}
        reference = f"ServiceRequest/{request['id']}"
        assert (task["focus"]["reference"], task["basedOn"][0]["reference"]) == (reference, reference)
        assert procedure["basedOn"][0]["reference"] == reference
        assert task["executionPeriod"].keys() == {"start", "end"}
        assert procedure["identifier"] == [{"system": "urn:dicom:uid", "value": f"urn:oid:{UID}"}]
        shown = await journey(gateway.store, AccessionNumber("ACC1"))
        assert shown is not None
        told = [one["text"].split("/")[0] for one in shown["events"] if one["station"] == "ehr_delivery"]
        # On a slow machine a later version may take the place of one that waits.
        delivered = {one for one in told if one.startswith("delivered")}
        assert {
            "delivered to ehr0 as ServiceRequest",
            "delivered to ehr0 as Task",
            "delivered to ehr0 as Procedure",
        } == delivered


async def test_what_an_ehr_is_not_to_be_told_it_is_not_told(start: Start, fhir_server: FhirServer) -> None:
    """Orders alone are the former behaviour, now with completed; nothing is on unless it is asked for."""
    async with start(ehrs=[ehr(fhir_server.url, orders="write")]) as gateway:
        modality = modality_of(gateway)
        await ordered(gateway)
        await modality.create(begin(), UID)
        await modality.set(end("COMPLETED"), UID)
        await quiet(gateway)
        assert await statuses(fhir_server, "ServiceRequest", "Task", "Procedure") == ["ServiceRequest completed"]


async def test_a_wrong_entry_is_taken_back_and_no_procedure(start: Start, fhir_server: FhirServer) -> None:
    async with start(ehrs=everything(fhir_server.url)) as gateway:
        modality = modality_of(gateway)
        await ordered(gateway)
        await modality.create(begin(), UID)
        await quiet(gateway)
        assert await statuses(fhir_server, "Task") == ["Task in-progress"]
        await modality.set(end("DISCONTINUED", "110514"), UID)
        await quiet(gateway)
        assert await statuses(fhir_server, "Task", "Procedure") == ["Task requested"]


async def test_the_same_request_again_changes_nothing_at_the_ehr(start: Start, fhir_server: FhirServer) -> None:
    async with start(ehrs=everything(fhir_server.url)) as gateway:
        modality = modality_of(gateway)
        await ordered(gateway)
        for _ in range(2):
            await modality.create(begin(), UID)
            await quiet(gateway)
        await modality.set(end("COMPLETED"), UID)
        await quiet(gateway)
        before = [
            one["meta"]["versionId"] for kind in ("Task", "Procedure") for one in await fhir_server.resources(kind)
        ]
        await modality.set(end("COMPLETED"), UID)
        await ordered(gateway, orm(control_id="2"))
        after = [
            one["meta"]["versionId"] for kind in ("Task", "Procedure") for one in await fhir_server.resources(kind)
        ]
        assert before == after
        assert len(after) == 2


async def test_an_examination_without_an_order_is_a_procedure_of_the_patient_that_the_modality_states(
    start: Start, fhir_server: FhirServer
) -> None:
    async with start(ehrs=everything(fhir_server.url)) as gateway:
        modality = modality_of(gateway)
        await modality.create(begin(item("1.2.77", "", "", "")), UID)
        await modality.set(end("COMPLETED"), UID)
        await quiet(gateway)
        [procedure] = await fhir_server.resources("Procedure")
        assert procedure["subject"]["identifier"]["value"] == "PAT1"
        assert "basedOn" not in procedure
        assert await statuses(fhir_server, "ServiceRequest", "Task") == []


async def test_another_patient_than_the_orders_is_parked_for_a_person(start: Start, fhir_server: FhirServer) -> None:
    async with start(ehrs=everything(fhir_server.url)) as gateway:
        modality = modality_of(gateway)
        await ordered(gateway)
        await modality.create(begin(PatientID="PAT9"), UID)
        await modality.set(end("COMPLETED"), UID)
        await quiet(gateway)
        [stuck] = await gateway.store.read(outbox_listing.stuck)
        assert "another patient" in stuck.cause.text
        assert await statuses(fhir_server, "Task", "Procedure") == ["Task completed"]
        assert (await post(gateway, "unlink"))[0] == 200
        await quiet(gateway)
        assert await statuses(fhir_server, "Task", "Procedure") == ["Task requested", "Procedure completed"]
        [procedure] = await fhir_server.resources("Procedure")
        assert procedure["subject"]["identifier"]["value"] == "PAT9"
        assert await gateway.store.read(outbox_listing.stuck) == []


async def test_an_order_that_comes_after_its_examination_is_completed_at_once(
    start: Start, fhir_server: FhirServer
) -> None:
    async with start(ehrs=everything(fhir_server.url)) as gateway:
        modality = modality_of(gateway)
        await modality.create(begin(), UID)
        await modality.set(end("COMPLETED"), UID)
        await quiet(gateway)
        assert await statuses(fhir_server, "ServiceRequest", "Task", "Procedure") == ["Procedure completed"]
        await ordered(gateway)
        assert await statuses(fhir_server, "ServiceRequest", "Task") == ["ServiceRequest completed", "Task completed"]
        [request], [procedure] = [await fhir_server.resources(kind) for kind in ("ServiceRequest", "Procedure")]
        assert [one.get("reference") for one in procedure["basedOn"]] == [f"ServiceRequest/{request['id']}"]
