"""The facade as an EHR reads it: fhir-kit-client, over real sockets; searches and pages on both databases."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

import aiohttp
import pydicom
import pytest
import pytest_asyncio
from sqlalchemy import Connection

from gateway.assembly import process as app
from gateway.config.http import Facade, Http
from gateway.config.site import Site
from gateway.errors import Unavailable
from gateway.mapping.studies.search_values import findable
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.search import SearchParameters
from gateway.simulators.ehr import EhrSimulator
from gateway.store import imaging_studies
from tests.conftest import comes_true
from tests.journey.messages import orm
from tests.journey.running import Start, config_of, quiet
from tests.journey.test_study_arrival import sample, send
from tests.journey.test_whole_loop import files_of_patient
from tests.peers.fhir_validators import Validators
from tests.peers.fhirkit_client import Fhirkit, FhirkitError, fhirkit
from tests.peers.mllp import mllp_send

SITE = Site(
    name="Test site", timezone="Europe/Berlin", patient_id_issuer="HOSP",
    identifier_systems={"HOSP": "urn:oid:2.25.1"}, order_systems={"HOSP": "urn:oid:2.25.2"},
    wado_rs_url="https://pacs.test/dicomweb",
)  # fmt: skip
FACADE = Facade(enabled=True)
CT = pydicom.dcmread(pydicom.data.get_testdata_file("CT_small.dcm"), stop_before_pixels=True)  # type: ignore[arg-type]
CT_UID = str(CT.StudyInstanceUID)
ONE_OF_EACH = list(
    {str(pydicom.dcmread(one, stop_before_pixels=True).StudyInstanceUID): one for one in files_of_patient()}.values()
)
"""A file of each of three MR studies of one patient."""

pytestmark = pytest.mark.asyncio(loop_scope="module")
sqlite = pytest.mark.parametrize("file_database_url", ["sqlite"], indirect=True)


class Reading(NamedTuple):
    """A gateway without EHRs, and an EHR that reads it at `base`."""

    gateway: app.Running
    ehr: Fhirkit
    base: str


@asynccontextmanager
async def read(database_url: str) -> AsyncIterator[Reading]:
    async with app.running(config_of(database_url, site=SITE, facade=FACADE)) as gateway:
        base = f"http://127.0.0.1:{gateway.http_port}/fhir"
        async with fhirkit(base) as ehr:
            yield Reading(gateway, ehr, base)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reading(file_database_url: str) -> AsyncIterator[Reading]:
    """It holds four studies of two patients, and no test adds to them."""
    async with read(file_database_url) as one:
        await send(one.gateway, sample(), *ONE_OF_EACH)
        await quiet(one.gateway)
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def growing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Reading]:
    """Each test brings studies of its own."""
    async with read(f"sqlite:///{tmp_path_factory.mktemp('growing')}/gateway.db") as one:
        yield one


def instance(study_uid: str, number: int) -> pydicom.Dataset:
    """One of a study whose patient has no other."""
    made = sample()
    made.PatientID = f"P{study_uid}"
    made.StudyInstanceUID, made.SeriesInstanceUID = study_uid, f"{study_uid}.1"
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(f"{study_uid}.1.{number}")
    return made


async def problems(validators: Validators, resource: Any) -> dict[str, Any]:
    """What any validator finds wrong, by its name."""
    found = await asyncio.to_thread(validators.findings, "R4", resource)
    return {name: one for name, one in found.items() if one}


def uids(bundle: dict[str, Any]) -> set[str]:
    return {one["resource"]["id"] for one in bundle.get("entry", ()) if one["search"]["mode"] == "match"}


async def test_every_search_parameter_finds_its_studies(reading: Reading, fhir_validators: Validators) -> None:
    _, ehr, base = reading
    everything = await ehr.search()
    assert everything["total"] == 4
    resources = {one["resource"]["id"]: one["resource"] for one in everything["entry"]}
    ct = resources[CT_UID]
    patient, year = ct["subject"]["identifier"], ct["started"][:4]
    mr = set(resources) - {CT_UID}
    [mr_patient] = {resources[uid]["subject"]["identifier"]["value"] for uid in mr}
    accession = next(one for one in resources[min(mr)]["identifier"] if one["system"] != "urn:dicom:uid")
    asked: list[tuple[dict[str, str], set[str]]] = [
        ({"_id": CT_UID}, {CT_UID}),
        ({"_id": f"{CT_UID},{min(mr)}"}, {CT_UID, min(mr)}),
        ({"identifier": f"urn:dicom:uid|urn:oid:{CT_UID}"}, {CT_UID}),
        ({"identifier": accession["value"]}, {min(mr)}),
        ({"identifier": f"{accession['system']}|{accession['value']}"}, {min(mr)}),
        ({"identifier": f"|{accession['value']}"}, set()),
        ({"identifier": "urn:dicom:uid|"}, set(resources)),
        ({"identifier": "1.2.3.nowhere"}, set()),
        ({"patient:identifier": f"{patient['system']}|{patient['value']}"}, {CT_UID}),
        ({"subject:identifier": patient["value"]}, {CT_UID}),
        ({"patient.identifier": mr_patient}, mr),
        ({"basedon:identifier": accession["value"]}, {min(mr)}),
        ({"modality": "CT"}, {CT_UID}),
        ({"modality": "http://dicom.nema.org/resources/ontology/DCM|CT,MR"}, set(resources)),
        ({"status": "available"}, set(resources)),
        ({"status": "cancelled"}, set()),
        ({"series": ct["series"][0]["uid"]}, {CT_UID}),
        (
            {"started": ct["started"][:4]},
            {u for u in resources if resources[u]["started"][:4] == ct["started"][:4]},
        ),
        ({"started": f"eq{ct['started'][:10]}"}, {CT_UID}),
        ({"started": f"lt{year}"}, {uid for uid, one in resources.items() if one["started"] < year}),
        ({"_lastUpdated": "ge2020"}, set(resources)),
        ({"_lastUpdated": "lt2020-01-01T00:00:00Z"}, set()),
        ({"modality": "MR", "status": "available", "started": "gt1990"}, mr),
    ]
    for parameters, expected in asked:
        for post in (False, True):
            bundle = await ehr.search(parameters, post=post)
            assert (uids(bundle), bundle["total"]) == (expected, len(expected)), (parameters, post)
            assert await problems(fhir_validators, bundle) == {}, parameters
    assert all(one["fullUrl"] == f"{base}/ImagingStudy/{one['resource']['id']}" for one in everything["entry"])


@sqlite
async def test_what_it_says_of_itself_is_valid_and_true(reading: Reading, fhir_validators: Validators) -> None:
    _, ehr, base = reading
    statement = await ehr.metadata()
    assert await problems(fhir_validators, statement) == {}
    assert statement["implementation"]["url"] == base
    [study] = [one for one in statement["rest"][0]["resource"] if one["type"] == "ImagingStudy"]
    values = {"token": "x", "date": "2026", "reference": "x|y"}
    for one in study["searchParam"]:
        name = one["name"] + (":identifier" if one["type"] == "reference" else "")
        bundle = await ehr.search({name: values[one["type"]]})
        assert one["name"] in bundle["link"][0]["url"]


async def test_reading_tells_the_version_and_spares_who_has_it(growing: Reading, fhir_validators: Validators) -> None:
    gateway, ehr, base = growing
    await send(gateway, instance("2.25.1", 1))
    await quiet(gateway)
    first = await ehr.read("ImagingStudy", "2.25.1")
    assert await problems(fhir_validators, first) == {}
    address = f"{base}/ImagingStudy/2.25.1"
    async with aiohttp.ClientSession() as session:
        async with session.get(address) as answer:
            tag, changed = answer.headers["ETag"], answer.headers["Last-Modified"]
            assert (answer.content_type, tag) == ("application/fhir+json", 'W/"1"')
        weak = {"If-None-Match": f'"0", {tag.removeprefix("W/")}'}
        for known in ({"If-None-Match": tag}, weak, {"If-Modified-Since": changed}):
            async with session.get(address, headers=known) as answer:
                assert (answer.status, await answer.read()) == (304, b"")
        await send(gateway, instance("2.25.1", 2))
        await quiet(gateway)
        async with session.get(address, headers={"If-None-Match": tag}) as answer:
            second = await answer.json(content_type="application/fhir+json")
    assert (second["meta"]["versionId"], second["numberOfInstances"]) == ("2", 2)
    assert second["meta"]["lastUpdated"] > first["meta"]["lastUpdated"]


@sqlite
async def test_the_endpoint_of_the_images_is_included_and_read(reading: Reading, fhir_validators: Validators) -> None:
    bundle = await reading.ehr.search({"_id": CT_UID, "_include": "ImagingStudy:endpoint"})
    study, endpoint = (one["resource"] for one in bundle["entry"])
    assert study["endpoint"] == [{"reference": f"{endpoint['resourceType']}/{endpoint['id']}"}]
    assert endpoint["address"] == "https://pacs.test/dicomweb"
    assert await reading.ehr.read("Endpoint", endpoint["id"]) == endpoint
    assert await problems(fhir_validators, endpoint) == {}
    assert "contained" not in study


def _many(connection: Connection, *, patient: str, first: int, count: int, now: int) -> None:
    for number in range(first, first + count):
        uid = f"2.25.{patient.encode().hex()}.{number}"
        resource = {
            "resourceType": "ImagingStudy", "status": "available", "started": f"2026-{number % 12 + 1:02}-01",
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
            "subject": {"identifier": {"system": "urn:oid:2.25.1", "value": patient}},
        }  # fmt: skip
        found_by = findable(resource, SITE.zone)
        digest = number.to_bytes(4, "big")
        imaging_studies.keep(connection, StudyInstanceUID(uid), resource, digest, found_by, now=now + number % 7)


@pytest.mark.parametrize("sort", ["", "-started", "_lastUpdated"])
async def test_pages_give_everything_once_while_more_arrives(growing: Reading, sort: str) -> None:
    gateway, ehr, _base = growing
    patient = f"MANY{sort}"
    await gateway.store.write(partial(_many, patient=patient, first=1000, count=100, now=5_000_000))
    asked = {"patient:identifier": f"urn:oid:2.25.1|{patient}", "_count": "16"} | ({"_sort": sort} if sort else {})
    page = await ehr.search(asked)
    await gateway.store.write(partial(_many, patient=patient, first=2000, count=30, now=9_000_000))
    resources, total = [], page["total"]
    while page:
        resources += [one["resource"] for one in page["entry"]]
        page = await ehr.next_page(page)
    found = [one["id"] for one in resources]
    assert len(found) == len(set(found))
    assert set(range(1000, 1100)) <= {int(uid.rpartition(".")[2]) for uid in found}
    assert total == 100
    if sort:
        key = sort.removeprefix("-")
        keys = [one["started"] if key == "started" else one["meta"]["lastUpdated"] for one in resources]
        assert keys == sorted(keys, reverse=sort.startswith("-"))


@sqlite
async def test_parts_and_counts(reading: Reading) -> None:
    for count in ({"_summary": "count"}, {"_count": "0"}):
        bundle = await reading.ehr.search(count)
        assert (bundle["total"], "entry" in bundle) == (4, False)
    [entry] = (await reading.ehr.search({"_id": CT_UID, "_summary": "true"}))["entry"]
    assert ["instance" in one for one in entry["resource"]["series"]] == [False]
    assert entry["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"
    [entry] = (await reading.ehr.search({"_id": CT_UID, "_elements": "started,modality"}))["entry"]
    assert entry["resource"].keys() == {"resourceType", "id", "meta", "status", "subject", "started", "modality"}


@sqlite
async def test_parameters_without_effect_fail_no_search(reading: Reading) -> None:
    """Clients send them unasked: fhirpy counts with `_totalMethod`, HAPI's asks for `_pretty`."""
    _, ehr, base = reading
    counted = await ehr.search({"modality": "CT", "_count": "0", "_totalMethod": "count"})
    assert (counted["total"], "entry" in counted) == (1, False)
    for without in ("_pretty=true", "_contained=false", "_contained=both&_containedType=container", "_score=true"):
        pairs = dict(one.split("=") for one in without.split("&"))
        bundle = await ehr.search({"modality": "CT", **pairs})
        assert uids(bundle) == {CT_UID}, without
        assert bundle["link"] == [{"relation": "self", "url": f"{base}/ImagingStudy?modality=CT"}]
    for narrowing in ("_has:Observation:subject:code", "_contained", "_tag", "_filter", "_pretty:not"):
        with pytest.raises(FhirkitError) as raised:
            await ehr.search({narrowing: "true"})
        assert f"not served: {narrowing}" in raised.value.outcome["issue"][0]["diagnostics"]


REFUSED: tuple[tuple[dict[str, str], str], ...] = (
    ({"patient": "Patient/1"}, "patient: resources of this type are not held here, they are known by identifier"),
    ({"started": "yesterday"}, "started: 'yesterday' is no date"),
    ({"started": "2026-02-30"}, "started: '2026-02-30' is not in the calendar"),
    ({"started": "ap2026"}, "the prefix 'ap' is not served"),
    ({"modality:not": "CT"}, "modality:not: the modifier ':not' is not served"),
    ({"patient.name": "x"}, "patient.name: the chain '.name' is not served"),
    ({"identifier": "|"}, "identifier: '|' is no token"),
    ({"_sort": "modality"}, "_sort: 'modality' sorts nothing"),
    ({"_count": "-1"}, "_count: '-1' is not a number"),
    ({"_page": "!"}, "_page: this is no page of ours"),
    ({"_page": "e30"}, "_page: this is no page of ours"),
    ({"_include": "ImagingStudy:subject"}, "cannot be included"),
)


@sqlite
async def test_what_cannot_be_answered_is_refused_with_the_place(reading: Reading, fhir_validators: Validators) -> None:
    for parameters, said in REFUSED:
        with pytest.raises(FhirkitError) as raised:
            await reading.ehr.search(parameters)
        assert raised.value.status == 400
        assert said in raised.value.outcome["issue"][0]["diagnostics"]
        assert await problems(fhir_validators, raised.value.outcome) == {}


@sqlite
async def test_what_is_not_known_is_refused_unless_it_may_be_left_out(reading: Reading) -> None:
    """A name that is misspelt would find every patient's studies."""
    for misspelt in ("patientidentifier", "Patient:identifier", "identifer", "_inclde", "_revinclude"):
        with pytest.raises(FhirkitError) as raised:
            await reading.ehr.search({misspelt: "red"})
        assert f"not served: {misspelt}; served are _id, " in raised.value.outcome["issue"][0]["diagnostics"]
    lenient = {"Prefer": "return=minimal; handling=lenient"}
    bundle = await reading.ehr.search({"colour": "red", "modality": "CT"}, headers=lenient)
    assert uids(bundle) == {CT_UID}
    assert bundle["link"][0]["url"].endswith("/ImagingStudy?modality=CT")


async def test_searches_that_would_cost_too_much_or_hold_nonsense_are_refused(reading: Reading) -> None:
    async with aiohttp.ClientSession() as session:
        base = f"{reading.base}/ImagingStudy"
        form = "application/x-www-form-urlencoded"
        asked: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", f"?modality={','.join(['CT'] * 201)}", {}),
            ("GET", "?" + "&".join(["modality=CT"] * 31), {}),
            ("GET", "?modality=C%00T", {}),
            ("GET", "?modality=", {}),
            ("GET", f"?_sort=started&_page={base64.urlsafe_b64encode(b'[9223372036854775808,1]').decode()}", {}),
            ("POST", "/_search", {"data": b"modality=CT", "headers": {"Content-Type": f"{form}; charset=nonsense"}}),
            ("POST", "/_search", {"data": b"modality=\xff", "headers": {"Content-Type": form}}),
        ]
        for method, rest, more in asked:
            async with session.request(method, base + rest, **more) as answer:
                outcome = await answer.json(content_type="application/fhir+json")
            assert (answer.status, outcome["resourceType"]) == (400, "OperationOutcome"), rest[:60]
        for most in (f"?modality={','.join(['CT'] * 200)}", "?" + "&".join(["modality=CT"] * 30)):
            async with session.get(base + most) as answer:
                assert answer.status == 200
        async with session.get(f"{base}/1%00") as answer:
            assert answer.status == 404


@sqlite
async def test_nothing_is_written_and_nothing_but_fhir_is_answered(reading: Reading) -> None:
    _, ehr, base = reading
    async with aiohttp.ClientSession() as session:
        with pytest.raises(FhirkitError) as raised:
            await ehr.delete("ImagingStudy", CT_UID)
        assert raised.value.status == 405
        asked: list[tuple[str, str, dict[str, Any], int]] = [
            ("PUT", f"/ImagingStudy/{CT_UID}", {}, 405),
            ("POST", "/ImagingStudy", {}, 405),
            ("GET", "/ImagingStudy/1.2.3", {}, 404),
            ("GET", "/Endpoint/other", {}, 404),
            ("GET", "/Patient", {}, 404),
            ("GET", "/ImagingStudy?_format=xml", {}, 406),
            ("GET", "/ImagingStudy?_format=application/fhir+xml", {}, 406),
            ("GET", f"/ImagingStudy/{CT_UID}?_format=xml", {}, 406),
            ("GET", "/metadata", {"headers": {"Accept": "application/fhir+xml"}}, 406),
            ("POST", "/ImagingStudy/_search", {"json": {}}, 415),
            (
                "POST",
                "/ImagingStudy/_search",
                {
                    "data": io.BytesIO(b"modality=" + b"C" * 2_000_000),
                    "headers": {"Content-Type": "application/x-www-form-urlencoded"},
                },
                413,
            ),
        ]
        for method, path, more, status in asked:
            async with session.request(method, base + path, **more) as answer:
                outcome = await answer.json(content_type="application/fhir+json")
            assert (answer.status, outcome["resourceType"]) == (status, "OperationOutcome"), (method, path)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_reads_has_a_token_of_its_own(start: Start) -> None:
    async with start(
        facade=Facade(enabled=True, token="reader"), http=Http(port=0, token="night")
    ) as gateway:  # fmt: skip
        base = f"http://127.0.0.1:{gateway.http_port}"
        async with fhirkit(f"{base}/fhir", "reader") as ehr:
            assert (await ehr.search())["total"] == 0
        async with fhirkit(f"{base}/fhir", "night") as stranger:
            assert (await stranger.metadata())["fhirVersion"] == "4.0.1"
            with pytest.raises(FhirkitError) as raised:
                await stranger.search()
        assert raised.value.status == 401
        assert raised.value.outcome["issue"][0]["code"] == "login"
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer reader"}) as session:
            async with session.get(f"{base}/api/status") as answer:
                assert answer.status == 401
            async with session.get(f"{base}/fhir") as answer:
                assert answer.status == 404


async def test_it_is_off_unless_it_is_switched_on_and_then_has_what_was_there(start: Start) -> None:
    """An EHR that was told before is not told again when the facade takes up what is there."""
    async with EhrSimulator() as ehr:
        async with start(ehr.url, site=SITE) as gateway, aiohttp.ClientSession() as session:
            await send(gateway, sample(), *ONE_OF_EACH)
            await quiet(gateway)
            async with session.get(f"http://127.0.0.1:{gateway.http_port}/fhir/metadata") as answer:
                assert answer.status == 404
        told = {one["id"]: one["meta"]["versionId"] for one in ehr.resources("ImagingStudy")}
        async with start(ehr.url, site=SITE, facade=FACADE) as gateway:
            await _until_served(gateway, 4)
            await quiet(gateway)
            async with fhirkit(f"http://127.0.0.1:{gateway.http_port}/fhir") as reader:
                assert (await reader.search())["total"] == 4
        assert {one["id"]: one["meta"]["versionId"] for one in ehr.resources("ImagingStudy")} == told


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_changed_while_it_was_off_is_in_it_afterwards(start: Start) -> None:
    async with start(site=SITE, facade=FACADE) as gateway:
        await send(gateway, sample())
        await quiet(gateway)
    grown = sample()
    grown.SOPInstanceUID = grown.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID("2.25.99")
    async with start(site=SITE) as gateway:
        await send(gateway, grown)
        await quiet(gateway)
    async with start(site=SITE, facade=FACADE) as gateway:
        base = f"http://127.0.0.1:{gateway.http_port}/fhir"
        async with fhirkit(base) as reader:
            await comes_true(lambda: reader.read("ImagingStudy", CT_UID), lambda study: study["numberOfInstances"] == 2)


async def _until_served(gateway: app.Running, count: int) -> None:
    total = partial(imaging_studies.total, question=SearchParameters())
    await comes_true(lambda: gateway.store.read(total), lambda served: served >= count)


async def test_an_order_that_comes_later_is_in_it(growing: Reading) -> None:
    gateway, ehr, _base = growing
    await send(gateway, instance("2.25.2", 1))
    await quiet(gateway)
    await mllp_send(gateway.hl7_ports["ris"], orm(patient="P2.25.2^^^HOSP", study_uid="2.25.2"))
    await quiet(gateway)
    assert uids(await ehr.search({"basedon:identifier": "ACC1"})) == {"2.25.2"}


@sqlite
async def test_a_database_that_is_away_is_said_in_fhir(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_unit: Any) -> Any:
        raise Unavailable("the database does not answer", place="database")

    monkeypatch.setattr(reading.gateway.store, "read", away)
    with pytest.raises(FhirkitError) as raised:
        await reading.ehr.search()
    assert raised.value.status == 503
    assert raised.value.outcome["issue"][0]["code"] == "transient"
