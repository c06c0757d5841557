"""Studies are linked with the Patients and ServiceRequests that a real FHIR server holds."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from gateway.assembly.process import Running
from gateway.config.ehrs import Ehr
from gateway.config.receiver import Retry
from gateway.config.site import Site
from gateway.mapping.studies.patient import patient
from gateway.records.link import Target
from gateway.store import missing_links, outbox_listing
from gateway.store.schema import missing_links as missing_rows
from tests.conftest import comes_true
from tests.journey.messages import orm
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_scheduling import outcomes
from tests.journey.test_study_arrival import sample, send
from tests.peers.fhir_server import FhirServer
from tests.peers.fhir_validators import Validators

ID = str(sample().PatientID)
IDENTIFIER = {"system": "urn:oid:2.25.1", "value": ID}


def ehr(url: str, **more: Any) -> list[Ehr]:
    return [Ehr(name="ehr0", url=url, retry=Retry(first_seconds=0.1, max_seconds=0.5), **more)]


async def studied(start: Start, server: FhirServer, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the ImagingStudy, the delivery) of one study that was ordered, at an EHR with these settings."""
    async with start(ehrs=ehr(server.url, **more)) as gateway:
        await outcomes(gateway, orm(patient=f"{ID}^^^HOSP", study_uid=str(sample().StudyInstanceUID)))
        await send(gateway, sample())
        await quiet(gateway)
        [delivery] = await gateway.store.read(lambda one: outbox_listing.listing(one, states=("done",), limit=1))
        [study] = await server.resources("ImagingStudy")
        return study, delivery


@sqlite
async def test_the_patient_of_the_ehr_is_linked_beside_the_identifier(start: Start, fhir_server: FhirServer) -> None:
    theirs = await fhir_server.create({"resourceType": "Patient", "identifier": [IDENTIFIER], "active": True})
    request = await fhir_server.create({
        "resourceType": "ServiceRequest", "status": "active", "intent": "order", "identifier": [ACC1],
        "subject": {"reference": f"Patient/{theirs['id']}"},
    })  # fmt: skip
    study, delivery = await studied(start, fhir_server, patient="find", orders="find")
    assert study["subject"]["reference"] == f"Patient/{theirs['id']}"
    assert study["subject"]["identifier"]["value"] == ID
    assert f"ServiceRequest/{request['id']}" in [one.get("reference") for one in study["basedOn"]]
    assert "Patient" not in delivery["outcome"].get("note", "")


ACC1 = {"system": "urn:oid:2.25.77", "value": "ACC1"}


@pytest.fixture(autouse=True)
def order_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """The orders of the test's RIS have this system."""
    from tests.journey import running

    site = Site(
        patient_id_issuer="HOSP", identifier_systems={"HOSP": "urn:oid:2.25.1"},
        order_systems=dict.fromkeys(("HOSP", "RIS", "HOSPITAL"), "urn:oid:2.25.77"),
    )  # fmt: skip
    plain = running.config_of
    monkeypatch.setattr(running, "config_of", lambda url, *ehrs, **more: plain(url, *ehrs, **{"site": site, **more}))


@sqlite
@pytest.mark.parametrize("held", [0, 2])
async def test_none_or_several_are_noted_and_not_linked(start: Start, fhir_server: FhirServer, held: int) -> None:
    for _ in range(held):
        await fhir_server.create({"resourceType": "Patient", "identifier": [IDENTIFIER]})
    study, delivery = await studied(start, fhir_server, patient="find")
    assert "reference" not in study["subject"]
    assert f"holds {held or 'no'} Patient with the identifier" in delivery["outcome"]["note"]


@sqlite
async def test_a_patient_who_was_merged_over_there_is_the_survivor(start: Start, fhir_server: FhirServer) -> None:
    survivor = await fhir_server.create({"resourceType": "Patient", "active": True})
    await fhir_server.create({
        "resourceType": "Patient", "identifier": [IDENTIFIER], "active": False,
        "link": [{"type": "replaced-by", "other": {"reference": f"Patient/{survivor['id']}"}}],
    })  # fmt: skip
    study, _ = await studied(start, fhir_server, patient="find")
    assert study["subject"]["reference"] == f"Patient/{survivor['id']}"


@sqlite
async def test_a_patient_who_is_not_there_is_made_once(
    start: Start, fhir_server: FhirServer, fhir_validators: Validators
) -> None:
    study, _ = await studied(start, fhir_server, patient="create")
    [made] = await fhir_server.resources("Patient")
    assert study["subject"]["reference"] == f"Patient/{made['id']}"
    assert (made["identifier"][0]["value"], made["gender"]) == (ID, "other")
    assert made["name"][0]["family"]
    told = {key: value for key, value in made.items() if key not in ("id", "meta")}
    found = await asyncio.to_thread(fhir_validators.findings, "R4", told)
    assert {name: one for name, one in found.items() if one} == {}
    another, _ = await studied(start, fhir_server, patient="create")
    assert len(await fhir_server.resources("Patient")) == 1
    assert another["subject"]["reference"] == f"Patient/{made['id']}"


@sqlite
async def test_a_patient_who_is_there_is_never_changed(start: Start, fhir_server: FhirServer) -> None:
    theirs = await fhir_server.create(
        {"resourceType": "Patient", "identifier": [IDENTIFIER], "name": [{"family": "Theirs"}]}
    )
    await studied(start, fhir_server, patient="create")
    [after] = await fhir_server.resources("Patient")
    assert (after["name"], after["meta"]["versionId"]) == ([{"family": "Theirs"}], theirs["meta"]["versionId"])


@sqlite
async def test_without_conditional_create_no_patient_is_made(start: Start, plain_fhir_server: FhirServer) -> None:
    async with start(ehrs=ehr(plain_fhir_server.url, patient="create")) as gateway:
        await send(gateway, sample())
        await quiet(gateway)
        [row] = await gateway.store.read(lambda one: outbox_listing.listing(one, states=("parked",)))
    assert "does not announce conditional create for Patient" in row["outcome"]["error"]
    assert await plain_fhir_server.resources("Patient") == []


ORDER = orm(patient=f"{ID}^^^HOSP", study_uid=str(sample().StudyInstanceUID))


async def sent(gateway: Running, what: str) -> None:
    if what == "order":
        await outcomes(gateway, ORDER)
    else:
        await send(gateway, sample())
    await quiet(gateway)


async def linked(gateway: Running) -> None:
    """Wait until no delivered resource lacks a link."""

    def missing(connection: Connection) -> int:
        return int(connection.execute(select(func.count()).select_from(missing_rows)).scalar_one())

    await comes_true(lambda: gateway.store.read(missing), lambda number: number == 0)
    await quiet(gateway)


@sqlite
@pytest.mark.parametrize("first", ["order", "study"])
@pytest.mark.parametrize("patient_mode", ["find", "create"])
async def test_all_links_stand_whatever_came_first(
    start: Start, fhir_server: FhirServer, first: str, patient_mode: str
) -> None:
    """Both are delivered; each refers to the other or to the Patient, who may be made only for the second."""
    if patient_mode == "find":
        await fhir_server.create({"resourceType": "Patient", "identifier": [IDENTIFIER]})
    async with start(ehrs=ehr(fhir_server.url, orders="write", patient=patient_mode)) as gateway:
        for what in ("order", "study") if first == "order" else ("study", "order"):
            await sent(gateway, what)
        await linked(gateway)
    [person] = await fhir_server.resources("Patient")
    [request] = await fhir_server.resources("ServiceRequest")
    [study] = await fhir_server.resources("ImagingStudy")
    assert study["subject"]["reference"] == request["subject"]["reference"] == f"Patient/{person['id']}"
    assert [one.get("reference") for one in study["basedOn"]] == [f"ServiceRequest/{request['id']}"]


async def test_a_patient_who_is_registered_later_is_linked(
    start: Start, fhir_server: FhirServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.journey.ehr_delivery.station.FIRST_LOOK_MICROS", 100_000)
    async with start(ehrs=ehr(fhir_server.url, patient="find")) as gateway:
        await sent(gateway, "study")
        [before] = await fhir_server.resources("ImagingStudy")
        assert "reference" not in before["subject"]
        person = await fhir_server.create({"resourceType": "Patient", "identifier": [IDENTIFIER]})
        targets = [Target("Patient", f"urn:oid:2.25.1|{ID}")]
        waiting = partial(missing_links.waiting_for, ehr="ehr0", targets=targets)
        await comes_true(lambda: gateway.store.read(waiting), lambda rows: not rows)
        await quiet(gateway)
    [study] = await fhir_server.resources("ImagingStudy")
    assert study["subject"]["reference"] == f"Patient/{person['id']}"


@sqlite
async def test_an_order_without_an_accession_number_is_delivered(start: Start, fhir_server: FhirServer) -> None:
    async with start(ehrs=ehr(fhir_server.url, orders="write")) as gateway:
        await outcomes(gateway, orm(accession="", filler=""))
        await quiet(gateway)
        parked = await gateway.store.read(lambda one: outbox_listing.listing(one, states=("parked", "rejected")))
    assert parked == []
    [request] = await fhir_server.resources("ServiceRequest")
    assert {"system": "urn:dicom:uid", "value": "urn:oid:1.2.3.4.5"} in request["identifier"]


@sqlite
async def test_a_document_in_r4_is_linked_with_its_order(start: Start, fhir_server: FhirServer) -> None:
    site = Site(
        patient_id_issuer="HOSP", viewer_url="https://viewer.test/{study_uid}",
        order_systems=dict.fromkeys(("HOSP", "RIS", "HOSPITAL"), "urn:oid:2.25.77"),
    )  # fmt: skip
    ehrs = ehr(fhir_server.url, orders="write", resource="DocumentReference")
    async with start(site=site, ehrs=ehrs) as gateway:
        await sent(gateway, "order")
        await sent(gateway, "study")
    [request] = await fhir_server.resources("ServiceRequest")
    [document] = await fhir_server.resources("DocumentReference")
    assert [one.get("reference") for one in document["context"]["related"]] == [f"ServiceRequest/{request['id']}"]


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({}, {"gender": "unknown"}),
        ({"PatientSex": "f", "PatientBirthDate": "19800102"}, {"gender": "female", "birthDate": "1980-01-02"}),
        ({"PatientSex": "X", "PatientBirthDate": "1980"}, {"gender": "unknown"}),
        (
            {"PatientName": "Doe^Jane^Q R^Dr^Jr"},
            {"gender": "unknown", "name": [
                {"use": "official", "family": "Doe", "given": ["Jane", "Q", "R"], "prefix": ["Dr"], "suffix": ["Jr"]}
            ]},
        ),
        (
            {"PatientName": "Yamada^Tarou=山田^太郎"},
            {"gender": "unknown", "name": [
                {"use": "official", "family": "Yamada", "given": ["Tarou"]},
                {"use": "official", "family": "山田", "given": ["太郎"], "extension": [{
                    "url": "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation", "valueCode": "IDE",
                }]},
            ]},
        ),
        ({"PatientName": "^^^^="}, {"gender": "unknown"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("release", ["R4", "R5"])
def test_a_patient_as_dicom_names_him(
    attributes: dict[str, Any], told: dict[str, Any], release: Any, fhir_validators: Validators
) -> None:
    made = patient(attributes, IDENTIFIER)
    assert made == {"resourceType": "Patient", "identifier": [IDENTIFIER], "active": True, **told}
    assert {name: one for name, one in fhir_validators.findings(release, made).items() if one} == {}


async def test_orders_become_service_requests_that_follow_them(start: Start, fhir_server: FhirServer) -> None:
    order = {"patient": f"{ID}^^^HOSP", "study_uid": str(sample().StudyInstanceUID)}
    async with start(ehrs=ehr(fhir_server.url, orders="write")) as gateway:
        seen = []
        for control, id in (("NW", "1"), ("HD", "2"), ("RL", "3")):
            message = orm(control=control, control_id=id, at=f"2026012309{id}000", **order)
            await outcomes(gateway, message)
            await quiet(gateway)
            [request] = await fhir_server.resources("ServiceRequest")
            seen.append((request["id"], request["status"]))
        assert [status for _, status in seen] == ["active", "on-hold", "active"]
        assert len({id for id, _ in seen}) == 1
        await send(gateway, sample())
        await quiet(gateway)
        [study] = await fhir_server.resources("ImagingStudy")
        assert f"ServiceRequest/{request['id']}" in [one.get("reference") for one in study["basedOn"]]
        message = orm(control="NW", control_id="4", at="20260123094000", **order)
        await outcomes(gateway, message)
        await quiet(gateway)
        [same] = await fhir_server.resources("ServiceRequest")
        second = {"patient": f"{ID}^^^HOSP", "accession": "ACC2", "placer": "P2", "filler": "F2", "study_uid": "1.2.9"}
        cancelled = orm(control="CA", control_id="5", at="20260123095000", **second)
        other = orm(control="NW", control_id="6", at="20260123094500", **second)
        await outcomes(gateway, cancelled)
        await quiet(gateway)
        assert len(await fhir_server.resources("ServiceRequest")) == 1, "nothing is told of what was never ordered"
        await outcomes(gateway, other)
        await quiet(gateway)
        held = {one["status"] for one in await fhir_server.resources("ServiceRequest") if one["id"] != same["id"]}
        assert held == {"revoked"}
