"""Performed steps over the web: Create, Update and Retrieve (PS3.18 chapter 15), also of a step begun over DIMSE."""

from __future__ import annotations

import asyncio
import base64
import gzip
import logging
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import orjson
import pytest
from yarl import URL

from gateway.assembly import process as app
from gateway.config.dicom import Dicom, DicomPeer
from gateway.simulators import modality as scanner
from gateway.store import refusals
from gateway.wire.dicomweb import dicom_json, native_xml
from tests.journey.messages import orm
from tests.journey.modality import begin, end, going_on, modality_of
from tests.journey.running import Start
from tests.journey.test_performed_step import ordered, states
from tests.web.dicomweb.client import JSON, PERFORMED, XML, Client, client_of

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

UID = "1.2.826.0.1.3680043.8.498.7"
STATUS = "00400252"
SECOND = orm(
    control_id="M2", placer="P2", filler="F2", accession="ACC2", procedure="RP2", step="SPS2", study_uid="1.2.9"
)


@pytest.fixture
async def gateway(start: Start) -> AsyncIterator[app.Running]:
    peers = [DicomPeer(ae_title="STRICT", mpps="strict"), DicomPeer(ae_title="READER", services=["worklist"])]
    async with start(dicom=Dicom(port=0, peers=peers)) as running:
        await ordered(running, orm())
        yield running


def body(dataset: Any) -> bytes:
    return orjson.dumps(dataset.to_json_dict())


def in_xml(dataset: Any) -> bytes:
    return native_xml.write(dicom_json.read(body(dataset)))


COMPLETED = body(end())


class Case(NamedTuple):
    """A request and its status, in a sequence: each finds what those before have left."""

    path: str
    body: bytes
    status: int
    content_type: str = JSON
    text: str = ""


MULTIPART = 'multipart/related; type="application/dicom+json"; boundary=b'
PART = b"--b\r\nContent-Type: application/dicom+json\r\n\r\n"
STORY = (
    # What cannot be read, or is not served.
    Case(f"/{UID}", b"", 400, text="body: no JSON"),
    Case(f"/{UID}", b"\xff\xfe{", 400, text="body: no JSON"),
    Case(f"/{UID}", b"null", 400, text="body: no object"),
    Case(f"/{UID}", b"[{},{}]", 400, text="body: an array of 2"),
    Case(f"/{UID}", b'{"PatientID": {"vr": "LO"}}', 400, text="PatientID: the name of a member is a tag"),
    Case(f"/{UID}", b'{"00100020": "PAT1"}', 400, text="00100020: a member is an object"),
    Case(f"/{UID}", b'{"00100020": {"vr": "LO", "Value": "PAT1"}}', 400, text="00100020: Value is an array"),
    Case(f"/{UID}", b'{"00400270": {"vr": "SQ", "Value": [{"0020000D": 1}]}}', 400, text="00400270.0020000D: a member"),
    Case(f"/{UID}", b'{"00400270": {"vr": "SQ", "Value": ["x"]}}', 400, text="00400270: an item"),
    Case(f"/{UID}", b'{"00100010": {"vr": "PN", "Value": [{"Alphabetic": 1}]}}', 400, text="00100010: the component"),
    Case(f"/{UID}", b'{"00100020": {"vr": "LO", "Value": [true]}}', 400, text="00100020: a value"),
    Case(f"/{UID}", b'{"00400270":{"vr":"SQ","Value":[' * 80 + b"{}" + b"]}}" * 80, 400, text="nest deeper"),
    Case(f"/{UID}", b"[" * 3000, 400, text="body: no JSON"),
    Case(f"/{UID}", b"<x/>", 400, XML, "body: the document is no NativeDicomModel"),
    Case(f"/{UID}", b"<NativeDicomModel><Item/></NativeDicomModel>", 400, XML, "Item: no DicomAttribute"),
    Case(f"/{UID}", b'<!DOCTYPE x [<!ENTITY y "z">]><NativeDicomModel/>', 400, XML, "body: a document type"),
    Case(f"/{UID}", b"<NativeDicomModel", 400, XML, "body: no XML"),
    Case(f"/{UID}", b"nothing", 400, MULTIPART, "body: "),
    Case(f"/{UID}", body(begin()), 415, "text/plain", "Content-Type: send application/dicom+json"),
    Case(f"/{UID}", body(begin()), 415, "", "Content-Type: send"),
    Case(f"/{UID}", body(begin()), 415, f"{JSON}; charset=utf-16", "Content-Type: JSON is sent in UTF-8"),
    Case(f"/{UID}", b" " * (16 * 1024 * 1024 + 1), 413, text="body: longer than"),
    Case("/one", body(begin()), 400, text="SOP Instance UID: is no UID"),
    Case(f"/{UID}", b'{"00400270": {"vr": "LO", "Value": ["x"]}}', 400, text="ScheduledStepAttributesSequence: type 1"),
    # What a performed step cannot begin as.
    Case(f"/{UID}", body(begin(PerformedProcedureStepStatus="COMPLETED")), 400, text="a performed step is created"),
    Case(f"/{UID}", b"{}", 400, text="ScheduledStepAttributesSequence: type 1"),
    Case(f"/{UID}?update", COMPLETED, 404, text="there is no such performed step"),
    # Its life.
    Case(f"/{UID}", body(begin()), 201),
    Case(f"/{UID}", body(begin()), 409, text="created already, with the same content"),
    Case(f"/{UID}", body(begin(PatientID="PAT2")), 409, text="another performed step has this SOP Instance UID"),
    Case(f"/{UID}?update", body(going_on()), 200),
    Case(f"/{UID}/update", body(going_on()), 200),
    Case(f"/{UID}?update=", b"[" + body(going_on()) + b"]", 200),
    Case(f"/{UID}?update", b'{"00400252": {"vr": "CS", "Value": ["BUSY"]}}', 400, text="the status is none of"),
    Case(f"/{UID}/?update", COMPLETED, 200),
    Case(f"/{UID}?update", COMPLETED, 409, text="may no longer be updated"),
    Case(f"/{UID}?update", body(going_on()), 409, text="may no longer be updated"),
    # Other forms of the same.
    Case(f"/{UID}.1", b"[" + body(begin()) + b"]", 201),
    Case(f"/{UID}.2", in_xml(begin()), 201, XML),
    Case(f"/{UID}.2?update", in_xml(end("DISCONTINUED", "110513")), 200, f"{XML}; charset=utf-8"),
    Case(
        f"/{UID}.3",
        b"--b\r\nContent-Type: application/dicom+json\r\n\r\n" + body(begin()) + b"\r\n--b--",
        201,
        MULTIPART,
    ),
    Case(f"/{UID}.4/", body(begin()), 201, "application/json"),
)


async def test_each_request_of_a_story_has_its_status(gateway: app.Running) -> None:
    async with client_of(gateway, "CT1") as client:
        for number, case in enumerate(STORY):
            answer = await client.post(case.path, case.body, case.content_type)
            assert answer.status == case.status, (number, case.path, case.body[:80], answer.text)
            assert case.text in answer.text, (number, case.text, answer.text)
            assert answer.status >= 400 or not answer.body
            if answer.status == 201:
                assert answer.headers["Location"] == f"{client.base}{PERFORMED}{case.path}".rstrip("/")
        [first] = (await client.get(f"/{UID}")).json
        assert first[STATUS]["Value"] == ["COMPLETED"]
        page = client.base.replace("/dicomweb", "/metrics")
        async with client.session.get(page) as metrics:
            counted = await metrics.text()
    assert 'gateway_performed_step_requests_total{operation="Create",status="201"}' in counted
    kept = await gateway.store.read(refusals.listing)
    assert "Update 409 Performed Procedure Step Object may no longer be updated" in {one["reason"] for one in kept}


async def test_a_body_that_cannot_be_decompressed(gateway: app.Running) -> None:
    """Each on a connection of its own: aiohttp ends one whose body it cannot read."""
    path = f"{PERFORMED}/{UID}"
    bomb = gzip.compress(b" " * (64 * 1024 * 1024))
    for sent, status in ((b"no gzip", 400), (bomb, 413)):
        async with client_of(gateway, "CT1") as client:
            answer = await client.ask("POST", path, body=sent, Content_Type=JSON, Content_Encoding="gzip")
        assert (answer.status, answer.text.partition(":")[0]) == (status, "body")


async def test_two_creates_of_one_uid_at_once_make_one_step(gateway: app.Running) -> None:
    async with client_of(gateway, "CT1") as client:
        answers = await asyncio.gather(*(client.post(f"/{UID}", begin(PatientID=f"P{n}")) for n in range(6)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 5


async def test_retrieve(gateway: app.Running) -> None:
    async with client_of(gateway, "CT1") as client:
        await client.post(f"/{UID}", begin(PatientName="Gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n^Anna"))
        answer = await client.get(f"/{UID}")
        [found] = answer.json
        assert (answer.status, answer.headers["Content-Type"]) == (200, f"{JSON}; charset=utf-8")
        assert answer.headers["Content-Location"] == f"{client.base}{PERFORMED}/{UID}"
        assert list(found) == sorted(found)
        assert found[STATUS] == {"vr": "CS", "Value": ["IN PROGRESS"]}
        assert found["00080005"]["Value"] == ["ISO_IR 192"]
        for query in ("includefield=all", "includefield="):
            assert (await client.get(f"/{UID}?{query}")).json == [found]
        some = await client.get(f"/{UID}?includefield={STATUS},00400270.0020000D&includefield=PatientID")
        assert [list(one) for one in some.json] == [["00100020", STATUS, "00400270"]]
        assert some.json[0]["00400270"]["Value"] == [{"0020000D": {"vr": "UI", "Value": ["1.2.3.4.5"]}}]
        document = await client.get(f"/{UID}", accept=XML)
        assert dicom_json.write(native_xml.read(document.body)) == dicom_json.write(dicom_json.read(answer.body))
        for path, accept, status in (
            ("/1.2.3", JSON, 404), ("/one", JSON, 400), (f"/{UID}?includefield=all,PatientID", JSON, 400),
            (f"/{UID}", None, 406), (f"/{UID}", "image/png", 406),
        ):  # fmt: skip
            assert (await client.get(path, accept=accept)).status == status, path


async def test_a_step_begun_over_dimse_is_ended_over_the_web_and_the_other_way_round(gateway: app.Running) -> None:
    await ordered(
        gateway, orm(control_id="M2", placer="P2", filler="F2", accession="ACC2", step="SPS2", study_uid="1.2.9")
    )
    modality = modality_of(gateway)
    async with client_of(gateway, "CT1") as client:
        assert (await modality.create(begin(), UID)).status == 0
        assert await step_status(client, "ACC1") == "STARTED"
        assert (await client.post(f"/{UID}", begin())).status == 409
        assert (await client.post(f"/{UID}?update", end())).status == 200
        refused = await modality.set(end("DISCONTINUED"), UID)
        assert (refused.status, refused.command.ErrorID) == (0x0110, 0xA710)
        [found] = (await client.get(f"/{UID}")).json
        assert found[STATUS]["Value"] == ["COMPLETED"]

        other = begin()
        other.ScheduledStepAttributesSequence[0].StudyInstanceUID = "1.2.9"
        other.ScheduledStepAttributesSequence[0].ScheduledProcedureStepID = "SPS2"
        assert (await client.post(f"/{UID}.1", other)).status == 201
        assert (await modality.create(other, f"{UID}.1")).status == 0
        assert (await modality.set(end("DISCONTINUED"), f"{UID}.1")).status == 0
        assert (await client.post(f"/{UID}.1?update", end())).status == 409
        got = await modality.get(f"{UID}.1", 0x00400252)
        assert got.dataset is not None
        assert got.dataset.PerformedProcedureStepStatus == "DISCONTINUED"
    assert await states(gateway) == {"SPS1": "COMPLETED", "SPS2": "DISCONTINUED"}


async def step_status(client: Client, accession_number: str) -> str:
    answer = await client.search(f"AccessionNumber={accession_number}&includefield=all")
    [item] = answer.json
    return str(item["00400100"]["Value"][0]["00400020"]["Value"][0])


async def test_the_worklist_is_the_same_both_ways(gateway: app.Running) -> None:
    await ordered(gateway, SECOND)
    over_dimse = await scanner.query("127.0.0.1", gateway.dicom_port, calling_ae="CT1")
    async with client_of(gateway, "CT1") as client:
        over_web = (await client.search("includefield=all")).json
    assert len(over_web) == len(over_dimse) == 2
    for item, found in zip(over_dimse, over_web, strict=True):
        del item[0x00080005:0x00080006]
        assert {key: found[key] for key in item.to_json_dict()} == item.to_json_dict() | step_of(item, found)


def step_of(item: Any, found: Any) -> Any:
    """The step of the result, as far as the simulator asked for its attributes over DIMSE."""
    [asked] = item.to_json_dict()["00400100"]["Value"]
    [step] = found["00400100"]["Value"]
    assert {key: step[key] for key in asked} == asked
    return {"00400100": found["00400100"]}


async def test_rules_of_a_scanner_are_those_of_its_login(gateway: app.Running) -> None:
    lacking = begin()
    del lacking.PerformedProcedureStepID
    async with client_of(gateway, "STRICT") as strict, client_of(gateway, "READER") as reader:
        refused = await strict.post(f"/{UID}", lacking)
        assert (refused.status, refused.text) == (400, "PerformedProcedureStepID: type 1, and is missing")
        assert (await reader.search()).status == 200
        for answer in (await reader.post(f"/{UID}", begin()), await reader.get(f"/{UID}")):
            assert (answer.status, answer.text) == (403, "dicom.peers READER: mpps is not among its services")
    async with client_of(gateway, "CT1") as lenient:
        assert (await lenient.post(f"/{UID}", lacking)).status == 201


async def test_an_odd_attribute_does_not_stop_an_examination(gateway: app.Running) -> None:
    stated = begin().to_json_dict()
    stated |= {
        "00101030": {"vr": "DS", "Value": ["heavy"]},
        "00180010": {"vr": "ZZ", "Value": [1]},
        "00280010": {"vr": "US", "Value": ["many"]},
        "00290010": {"vr": "LO", "Value": ["PRIVATE"]},
        "00420011": {"vr": "OB", "InlineBinary": "AAAA"},
        "00020010": {"vr": "UI", "Value": ["1.2.840.10008.1.2"]},
        "00104000": {"vr": "LT", "Value": [None, 1.5]},
        "0018115E": {"vr": "DS", "Value": [0.25]},
        "00081030": {"vr": "SQ", "Value": [{}]},
        "00400254": {"vr": "UN", "Value": ["of another VR"]},
        "00400280": {"Value": ["without a VR"]},
    }
    async with client_of(gateway, "CT1") as client:
        assert (await client.post(f"/{UID}", orjson.dumps(stated))).status == 201
        [found] = (await client.get(f"/{UID}")).json
    assert found["0018115E"] == {"vr": "DS", "Value": [0.25]}
    assert found["00400280"]["Value"] == ["without a VR"]
    assert found["00400254"] == {"vr": "LO", "Value": ["of another VR"]}
    assert not {"00081030", "00280010", "00290010", "00420011", "00020010"} & found.keys()


async def test_a_client_that_leaves_within_its_body_is_no_internal_error(
    gateway: app.Running, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(caplog.records)
    async with client_of(gateway, "CT1") as client:
        at = URL(client.base)
        assert at.host is not None
        _, writer = await asyncio.open_connection(at.host, at.port)
        login = base64.b64encode(b"CT1:").decode()
        head = f"POST {at.path}{PERFORMED}/{UID} HTTP/1.1\r\nHost: {at.authority}\r\nContent-Type: {JSON}\r\n"
        writer.write(f"{head}Authorization: Basic {login}\r\nContent-Length: 100\r\n\r\n[{{}}]".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await client.get(f"/{UID}")).status == 404
    assert [one.getMessage() for one in caplog.records[before:] if one.levelno >= logging.ERROR] == []
