"""The EHR simulator beside a real FHIR R4 server: the same requests, the same answers."""

from __future__ import annotations

import asyncio
import copy
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from yarl import URL

from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.ehr_answers import Manners
from gateway.simulators.fhir_store import FhirError
from tests.peers.fhir_server import FhirServer

STUDY: dict[str, Any] = {
    "resourceType": "ImagingStudy",
    "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:2.25.1"}],
    "status": "available",
    "modality": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}],
    "subject": {"reference": "Patient/p1", "type": "Patient"},
    "started": "2030-01-07T08:00:00+01:00",
    "numberOfSeries": 1,
    "numberOfInstances": 1,
    "description": "CT chest",
    "series": [
        {
            "uid": "2.25.2",
            "number": 1,
            "modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"},
            "instance": [
                {
                    "uid": "2.25.3",
                    "number": 1,
                    "sopClass": {
                        "system": "urn:ietf:rfc:3986",
                        "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2",
                    },
                }
            ],
        }
    ],
}
BY_UID = "identifier=urn:dicom:uid%7Curn:oid:2.25.1"
SERVERS = ("simulator", "medplum")


def study(**changes: Any) -> dict[str, Any]:
    """STUDY with some elements changed; None takes one away. `series__uid` is that of the first series."""
    changed = copy.deepcopy(STUDY)
    for path, value in changes.items():
        *parents, name = path.split("__")
        target = changed
        for parent in parents:
            target = target[parent][0]
        if value is None:
            del target[name]
        else:
            target[name] = value
    return changed


class Client:
    """Requests to one FHIR base address; answers as (status, resource, headers)."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def __call__(
        self, method: str, path: str, resource: Any = None, **headers: str
    ) -> tuple[int, dict[str, Any], Any]:
        async with self._session.request(
            method,
            f"{self._url}/{path}",
            json=resource,
            headers={
                "Content-Type": "application/fhir+json",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        ) as response:
            assert response.content_type == "application/fhir+json", await response.text()
            return (
                response.status,
                await response.json(content_type="application/fhir+json"),
                response.headers,
            )


@pytest.fixture
async def ehr() -> AsyncIterator[EhrSimulator]:
    async with EhrSimulator() as simulator:
        yield simulator


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as one:
        yield one


@pytest.fixture(params=SERVERS)
def call(request: pytest.FixtureRequest, session: aiohttp.ClientSession, ehr: EhrSimulator) -> Client:
    if request.param == "simulator":
        return Client(session, ehr.url)
    server: FhirServer = request.getfixturevalue("fhir_server")
    return Client(session, server.url)


@pytest.fixture
def simulator(session: aiohttp.ClientSession, ehr: EhrSimulator) -> Client:
    return Client(session, ehr.url)


ACCEPTED = {
    "whole": study(),
    "without series": study(series=None),
    "logical subject": study(subject={"identifier": {"system": "urn:oid:1.2", "value": "p1"}}),
    "date only": study(started="2030-01-07"),
    "accession": study(
        identifier=[
            *STUDY["identifier"],
            {
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]},
                "value": "A1",
            },
        ],
        basedOn=[{"reference": "ServiceRequest/s1"}],
    ),
    "body site": study(series__bodySite={"system": "http://snomed.info/sct", "code": "43799004", "display": "Chest"}),
    "extension": study(extension=[{"url": "http://example.org/x", "valueString": "y"}]),
    "unfinished": study(status="registered", series=None, numberOfSeries=0, numberOfInstances=0),
    "patient": {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:oid:1.2", "value": "p1"}],
        "name": [{"family": "Amberg", "given": ["Ada"]}],
        "gender": "female",
        "birthDate": "1970-01-31",
    },
    "service request": {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
    },
}

REFUSED = {
    "no status": (study(status=None), "ImagingStudy.status"),
    "no subject": (study(subject=None), "ImagingStudy.subject"),
    "no series uid": (study(series__uid=None), "ImagingStudy.series[0].uid"),
    "no series modality": (study(series__modality=None), "ImagingStudy.series[0].modality"),
    "no instance uid": (
        study(series__instance__uid=None),
        "ImagingStudy.series[0].instance[0].uid",
    ),
    "no SOP class": (
        study(series__instance__sopClass=None),
        "ImagingStudy.series[0].instance[0].sopClass",
    ),
    "uid of 65": (study(series__uid="1." + "2" * 63), "ImagingStudy.series[0].uid"),
    "count as text": (study(numberOfSeries="1"), "ImagingStudy.numberOfSeries"),
    "negative count": (study(numberOfSeries=-1), "ImagingStudy.numberOfSeries"),
    "minutes only": (study(started="2030-01-07T08:00+01:00"), "ImagingStudy.started"),
    "R5 modality": (study(modality=[{"coding": STUDY["modality"]}]), "ImagingStudy.modality[0].coding"),
    "unknown element": (study(colour="red"), "ImagingStudy.colour"),
    "identifier not a list": (study(identifier=STUDY["identifier"][0]), "ImagingStudy.identifier"),
}

STRICTER = {
    "status outside its binding": (study(status="gone"), "ImagingStudy.status"),
    "time without zone": (study(started="2030-01-07T08:00:00"), "ImagingStudy.started"),
    "empty list": (study(series=[]), "ImagingStudy.series"),
    "empty text": (study(description=""), "ImagingStudy.description"),
    "subject of another type": (study(subject={"reference": "Encounter/1"}), "ImagingStudy.subject"),
}
"""Wrong by FHIR R4, and taken by Medplum, which checks neither bindings nor the zone of a dateTime."""


@pytest.mark.parametrize("name", ACCEPTED)
async def test_what_is_valid_is_kept_and_given_back(call: Client, name: str) -> None:
    resource = ACCEPTED[name]
    status, created, headers = await call("POST", resource["resourceType"], resource)
    assert status == 201, created
    address = f"{resource['resourceType']}/{created['id']}"
    version = created["meta"]["versionId"]
    assert headers["ETag"] == f'W/"{version}"'
    assert headers["Location"].endswith(f"/{address}/_history/{version}")
    status, read, _ = await call("GET", address)
    assert status == 200
    assert read == created
    assert {key: read[key] for key in resource} == resource


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_wrong_is_refused_with_its_place(call: Client, name: str) -> None:
    resource, place = REFUSED[name]
    status, outcome, _ = await call("POST", "ImagingStudy", resource)
    assert status in (400, 422)
    assert outcome["resourceType"] == "OperationOutcome"
    assert place in [one for issue in outcome["issue"] for one in issue.get("expression", [])]
    status, bundle, _ = await call("GET", "ImagingStudy")
    assert (status, bundle["total"]) == (200, 0)


@pytest.mark.parametrize("name", STRICTER)
async def test_the_simulator_is_the_stricter_of_the_two(
    simulator: Client, fhir_server: FhirServer, session: aiohttp.ClientSession, name: str
) -> None:
    resource, place = STRICTER[name]
    status, outcome, _ = await simulator("POST", "ImagingStudy", resource)
    assert status == 422
    assert place in [one for issue in outcome["issue"] for one in issue["expression"]]
    status, _, _ = await Client(session, fhir_server.url)("POST", "ImagingStudy", resource)
    assert status == 201, "Medplum has learnt to refuse it: move it to REFUSED"


async def test_conditional_update_makes_one_resource_of_a_growing_study(call: Client) -> None:
    status, first, _ = await call("PUT", f"ImagingStudy?{BY_UID}", study())
    assert status == 201
    status, second, headers = await call("PUT", f"ImagingStudy?{BY_UID}", study(numberOfInstances=2))
    assert status == 200
    assert second["id"] == first["id"]
    assert second["meta"]["versionId"] != first["meta"]["versionId"]
    assert headers["ETag"] == f'W/"{second["meta"]["versionId"]}"'
    _, bundle, _ = await call("GET", f"ImagingStudy?{BY_UID}")
    assert bundle["total"] == 1
    assert bundle["entry"][0]["resource"]["numberOfInstances"] == 2


async def test_conditional_create_writes_nothing_when_there_is_one(call: Client) -> None:
    _, first, _ = await call("POST", "ImagingStudy", study(), If_None_Exist=BY_UID)
    status, second, headers = await call("POST", "ImagingStudy", study(description="changed"), If_None_Exist=BY_UID)
    assert status == 200
    assert second == first
    assert headers["Location"].endswith(f"/ImagingStudy/{first['id']}/_history/{first['meta']['versionId']}")


async def test_a_condition_that_several_meet_is_a_failed_precondition(call: Client) -> None:
    for _ in range(2):
        assert (await call("POST", "ImagingStudy", study()))[0] == 201
    for status, outcome, _ in (
        await call("PUT", f"ImagingStudy?{BY_UID}", study()),
        await call("POST", "ImagingStudy", study(), If_None_Exist=BY_UID),
    ):
        assert status == 412
        assert [issue["code"] for issue in outcome["issue"]] == ["multiple-matches"]


async def test_an_update_of_an_older_version_is_a_failed_precondition(call: Client) -> None:
    _, first, _ = await call("POST", "ImagingStudy", study())
    address, version = f"ImagingStudy/{first['id']}", first["meta"]["versionId"]
    status, second, _ = await call("PUT", address, first, If_Match=f'W/"{version}"')
    assert status == 200
    status, outcome, _ = await call("PUT", address, second, If_Match=f'W/"{version}"')
    assert (status, outcome["resourceType"]) == (412, "OperationOutcome")
    assert (await call("GET", address))[1]["meta"]["versionId"] == second["meta"]["versionId"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("identifier=urn:dicom:uid%7Curn:oid:2.25.1", 1),
        ("identifier=urn:dicom:uid|urn:oid:2.25.1", 1),
        ("identifier=urn%3Adicom%3Auid%7Curn%3Aoid%3A2.25.1", 1),
        ("identifier=urn:dicom:uid|", 2),
        ("identifier=urn:oid:2.25.1", 1),
        ("identifier=urn:oid:2.25.1,urn:oid:2.25.9", 2),
        ("identifier=urn:other|urn:oid:2.25.1", 0),
        ("identifier=|urn:oid:2.25.1", 0),
        ("patient=Patient/p1", 1),
        ("subject=Patient/p1&status=available", 1),
        ("patient=Patient/p1&identifier=urn:oid:2.25.9", 0),
    ],
)
async def test_search(call: Client, query: str, found: int) -> None:
    other = study(
        identifier=[{"system": "urn:dicom:uid", "value": "urn:oid:2.25.9"}],
        subject={"reference": "Patient/p2"},
    )
    for resource in (study(), other):
        await call("POST", "ImagingStudy", resource)
    status, bundle, _ = await call("GET", f"ImagingStudy?{query}")
    assert (status, bundle["total"], len(bundle.get("entry", []))) == (200, found, found)
    status, counted, _ = await call("GET", f"ImagingStudy?{query}&_summary=count")
    assert (status, counted["total"], "entry" in counted) == (200, found, False)


async def test_errors_of_every_kind_are_operation_outcomes(call: Client) -> None:
    answers = {
        "unknown id": (await call("GET", "ImagingStudy/nobody"), 404),
        "another type": (await call("POST", "Patient", study()), 400),
        "another id": (await call("PUT", "ImagingStudy/a", study(id="b")), 400),
        "id of nobody in a conditional update": (
            await call("PUT", f"ImagingStudy?{BY_UID}", study(id="a")),
            400,
        ),
        "unknown address": (await call("GET", "a/b/c/d/e"), 404),
    }
    for name, ((status, outcome, _), expected) in answers.items():
        assert (status, outcome["resourceType"]) == (expected, "OperationOutcome"), name
        assert outcome["issue"][0]["severity"] == "error"


async def test_the_capabilities_say_r4_and_conditional(call: Client) -> None:
    status, statement, _ = await call("GET", "metadata")
    assert (status, statement["fhirVersion"]) == (200, "4.0.1")
    types = {one["type"]: one for one in statement["rest"][0]["resource"]}
    assert types["ImagingStudy"]["conditionalUpdate"] is True


# Bad manners, of the simulator alone


async def test_failures_change_nothing_and_end(simulator: Client, ehr: EhrSimulator) -> None:
    ehr.manners = Manners(fail_next=2, status=429, retry_after=7)
    for _ in range(2):
        status, outcome, headers = await simulator("PUT", f"ImagingStudy?{BY_UID}", study())
        assert (status, outcome["issue"][0]["code"], headers["Retry-After"]) == (429, "throttled", "7")
    assert ehr.resources("ImagingStudy") == []
    assert (await simulator("GET", "ImagingStudy"))[0] == 200
    assert (await simulator("PUT", f"ImagingStudy?{BY_UID}", study()))[0] == 201
    assert [(write.status, write.kept) for write in ehr.writes] == [(429, False), (429, False), (201, True)]


async def test_reads_fail_too_when_asked_to(simulator: Client, ehr: EhrSimulator) -> None:
    ehr.manners = Manners(fail_next=1, status=503, reads_too=True)
    assert (await simulator("GET", "ImagingStudy"))[0] == 503
    assert (await simulator("GET", "ImagingStudy"))[0] == 200
    assert ehr.writes == []


async def test_a_dropped_write_is_kept_without_an_answer(simulator: Client, ehr: EhrSimulator) -> None:
    ehr.manners = Manners(drop_next=1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await simulator("POST", "ImagingStudy", study())
    assert len(ehr.resources("ImagingStudy")) == 1
    assert [(write.status, write.kept) for write in ehr.writes] == [(None, True)]
    assert (await simulator("PUT", f"ImagingStudy?{BY_UID}", study()))[0] == 200
    assert len(ehr.resources("ImagingStudy")) == 1


async def test_a_failure_can_be_a_page(ehr: EhrSimulator, session: aiohttp.ClientSession) -> None:
    ehr.manners = Manners(fail_next=1, status=502, html=True)
    async with session.post(f"{ehr.url}/ImagingStudy", json=study()) as response:
        assert (response.status, response.content_type) == (502, "text/html")
        assert "<h1>502 Bad Gateway</h1>" in await response.text()


async def test_a_slow_body_outlasts_a_hasty_reader(ehr: EhrSimulator, session: aiohttp.ClientSession) -> None:
    ehr.manners = Manners(body_seconds=30)
    async with session.get(f"{ehr.url}/metadata") as response:
        assert response.status == 200
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await response.read()


async def test_refusing_and_listening_again(simulator: Client, ehr: EhrSimulator) -> None:
    await simulator("POST", "ImagingStudy", study())
    url = ehr.url
    await ehr.refuse()
    with pytest.raises(aiohttp.ClientConnectionError):
        await simulator("GET", "ImagingStudy")
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", URL(url).port))
    await ehr.listen()
    assert ehr.url == url
    assert (await simulator("GET", "ImagingStudy"))[1]["total"] == 1


async def test_what_is_added_is_checked_and_found(simulator: Client, ehr: EhrSimulator) -> None:
    patient = ehr.add({**ACCEPTED["patient"], "id": "p1"})
    assert (await simulator("GET", "Patient/p1"))[1] == patient
    with pytest.raises(FhirError, match="required element"):
        ehr.add({"resourceType": "ServiceRequest", "status": "active", "intent": "order"})


async def test_unknown_search_parameters_are_refused(simulator: Client) -> None:
    status, outcome, _ = await simulator("GET", "ImagingStudy?colour=red")
    assert (status, outcome["issue"][0]["code"]) == (400, "not-supported")
    status, outcome, _ = await simulator("PUT", "ImagingStudy?_format=json", study())
    assert (status, outcome["issue"][0]["code"]) == (412, "incomplete")


async def test_what_is_not_json_is_refused(ehr: EhrSimulator, session: aiohttp.ClientSession) -> None:
    for content_type, body, expected in (
        ("application/fhir+json", b"{", 400),
        ("application/fhir+json", b"[]", 400),
        ("application/fhir+json", b'"\xff"', 400),
        ("application/fhir+xml", b"<ImagingStudy/>", 415),
    ):
        async with session.post(
            f"{ehr.url}/ImagingStudy", data=body, headers={"Content-Type": content_type}
        ) as response:
            outcome = await response.json(content_type="application/fhir+json")
            assert (response.status, outcome["resourceType"]) == (expected, "OperationOutcome")
