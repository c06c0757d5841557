"""Storage commitment over the web: Request and Result Check (PS3.18 chapter 13)."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from pydicom.dataset import Dataset
from sqlalchemy import select

from gateway.assembly import process as app
from gateway.config.dicom import DicomPeer
from gateway.operations.parked import parked_work
from gateway.store import commitments, refusals
from gateway.store.schema import instances as instance_rows
from gateway.wire.dicomweb import dicom_json, native_xml
from tests.journey.running import Start, quiet
from tests.journey.test_image_forwarding import instances, send, to
from tests.journey.test_storage_commitment import asked, committing, refs, reporting_to, uids
from tests.peers.pynetdicom_commitment import Refs, reports_at, wanted
from tests.peers.pynetdicom_store import storage_scp
from tests.web.dicomweb.client import JSON, XML, Answer, Client, client_of

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
REQUESTS = "/commitment-requests"
UID = "1.2.826.0.1.3680043.8.498.13"


def body(references: Refs) -> bytes:
    """The Storage Commitment Request Module (J.1), which names no transaction."""
    dataset = wanted(references)
    del dataset.TransactionUID
    return orjson.dumps(dataset.to_json_dict())


async def request(client: Client, sent: bytes, path: str = f"/{UID}", content_type: str = JSON) -> Answer:
    return await client.ask("POST", REQUESTS + path, body=sent, content_type=content_type)


async def check(client: Client, path: str = f"/{UID}", accept: str | None = JSON) -> Answer:
    return await client.ask("GET", REQUESTS + path, accept=accept)


async def decided(gateway: app.Running, client: Client, path: str = f"/{UID}") -> dict[str, Any]:
    """What the result says, once it is there, as pydicom reads it."""
    await quiet(gateway)
    [found] = (await check(client, path)).json
    stated = Dataset.from_json(found)
    return {
        "committed": [str(one.ReferencedSOPInstanceUID) for one in stated.get("ReferencedSOPSequence", [])],
        "failed": {
            str(one.ReferencedSOPInstanceUID): int(one.FailureReason) for one in stated.get("FailedSOPSequence", [])
        },
    }


async def test_a_result_is_asked_for_until_it_is_there_also_after_a_restart(start: Start, tmp_path: Path) -> None:
    with storage_scp() as archive:
        sections = committing(tmp_path, to(archive.port), wait=600)
        async with start(**sections) as gateway, client_of(gateway, "CT1") as client:
            await send(gateway, *instances(1))
            for answer in (await request(client, body(refs(1, 2))), await check(client)):
                assert (answer.status, answer.body, answer.headers["Retry-After"]) == (202, b"", "2")
        async with start(**sections) as gateway, client_of(gateway, "CT1") as client:
            assert (await check(client)).status == 202
            await send(gateway, *instances(1, first=2))
            assert await decided(gateway, client) == {"committed": uids(1, 2), "failed": {}}
            document = await check(client, accept=XML)
            assert dicom_json.array([dicom_json.write(native_xml.read(document.body))]) == (await check(client)).body
            assert not (await gateway.store.read(partial(parked_work, most=9))).deliveries
        async with start(**sections) as gateway, client_of(gateway, "CT1") as client:
            assert await decided(gateway, client) == {"committed": uids(1, 2), "failed": {}}


@sqlite
async def test_what_is_not_safe_is_decided_as_over_dimse(start: Start, tmp_path: Path) -> None:
    with storage_scp() as archive:
        async with start(**committing(tmp_path, to(archive.port, calling_aes=["CT1"]))) as gateway:
            await send(gateway, *instances(2))
            await send(gateway, *instances(1, first=3), calling_ae="CT2")
            references = [*refs(1), *refs(2, sop_class="1.2.840.10008.5.1.4.1.1.4"), *refs(3, 4)]
            over_dimse = wanted(references)
            await asked(gateway, over_dimse, title="CT9")
            async with client_of(gateway, "CT9") as client:
                sent = native_xml.write(dicom_json.read(body(references)))
                assert (await request(client, sent, content_type=XML)).status == 202
                results = [await decided(gateway, client, f"/{uid}") for uid in (UID, over_dimse.TransactionUID)]
                async with client.session.get(client.base.replace("/dicomweb", "/metrics")) as metrics:
                    counted = await metrics.text()
    failed = dict(zip(uids(2, 3, 4), (0x0119, 0x0110, 0x0112), strict=True))
    assert results == [{"committed": uids(1), "failed": failed}] * 2
    assert 'gateway_commitment_requests_total{status="202"}' in counted
    assert 'gateway_commitment_reports_total{event="2",status="200",way="fetched"}' in counted


@sqlite
async def test_a_modality_that_asks_both_ways_gets_its_report_too(start: Start, tmp_path: Path) -> None:
    with storage_scp() as archive, reports_at() as reports:
        sections = committing(tmp_path, to(archive.port), reporting_to(reports.port), wait=600)
        async with start(**sections) as gateway, client_of(gateway, "CT1") as client:
            assert (await request(client, body(refs(1)))).status == 202
            assert await asked(gateway, wanted(refs(1), UID)) == [0]
            await send(gateway, *instances(1))
            assert await decided(gateway, client) == {"committed": uids(1), "failed": {}}
    assert reports.of(UID) == [{"event": 1, "committed": uids(1), "failed": {}}]


class Case(NamedTuple):
    """A Request and its status, in a sequence: each finds what those before have left."""

    path: str
    body: bytes
    status: int
    content_type: str = JSON
    text: str = ""


NAMELESS = b'{"00081199": {"vr": "SQ", "Value": [{"00081150": {"vr": "UI", "Value": ["1.2"]}}]}}'
STORY = (
    Case("/one", body(refs(1)), 400, text="Transaction UID: is no UID"),
    Case(f"/{UID}", b"{", 400, text="body: no JSON"),
    Case(f"/{UID}", body(refs(1)), 415, "text/plain", "Content-Type: send"),
    Case(f"/{UID}", b"{}", 400, text="ReferencedSOPSequence: "),
    Case(f"/{UID}", b'{"00081199": {"vr": "LO", "Value": ["1.2"]}}', 400, text="ReferencedSOPSequence: "),
    Case(f"/{UID}", NAMELESS, 400, text="ReferencedSOPSequence: an item does not tell class and instance"),
    Case(f"/{UID}", b'{"00081110": {"vr": "SQ"}}', 400, text="ReferencedStudySequence: commitment by study"),
    Case(f"/{UID}", body(refs(1)), 202),
    Case(f"/{UID}", body(refs(1)), 409, text="Transaction UID: it is in use"),
    Case(f"/{UID}/", body(refs(2)), 409, text="Transaction UID: it is in use"),
    Case(f"/{UID}.1/", b"[" + body(refs(1)) + b"]", 202),
)


@sqlite
async def test_each_request_of_a_story_has_its_status(start: Start, tmp_path: Path) -> None:
    async with start(**committing(tmp_path, wait=600)) as gateway, client_of(gateway, "CT1") as client:
        for number, case in enumerate(STORY):
            answer = await request(client, case.body, case.path, case.content_type)
            assert answer.status == case.status, (number, answer.text)
            assert case.text in answer.text, (number, answer.text)
        for path, accept, status in (
            (f"/{UID}", JSON, 202), (f"/{UID}", None, 406), (f"/{UID}", "image/png", 406), ("/one", JSON, 400),
            (f"/{UID}.2", JSON, 404),
        ):  # fmt: skip
            assert (await check(client, path, accept)).status == status, path
        capabilities = await client.ask("OPTIONS", "/", accept="application/json")
        [resource] = [one for one in capabilities.json["resources"] if one["path"] == f"{REQUESTS}/{{uid}}"]
        assert [one["name"] for one in resource["methods"]] == ["POST", "GET"]
        kept = {one["reason"] for one in await gateway.store.read(refusals.listing)}
    assert "Request 409 Transaction UID: it is in use" in kept


@sqlite
async def test_a_transaction_is_shown_to_its_requester_alone(start: Start, tmp_path: Path) -> None:
    """What another requester has asked for is neither seen, nor in the way of the same Transaction UID."""
    sections = committing(tmp_path, wait=0.1)
    reader = DicomPeer(ae_title="READER", services=["worklist"])
    sections["dicom"] = sections["dicom"].model_copy(update={"peers": [reader]})
    async with start(**sections) as gateway:
        async with client_of(gateway, "CT1") as one, client_of(gateway, "CT2") as other:
            assert (await request(one, body(refs(1)))).status == 202
            assert await decided(gateway, one) == {"committed": [], "failed": {uids(1)[0]: 0x0112}}
            hidden, unknown = await check(other), await check(other, f"/{UID}.1")
            assert (hidden.status, hidden.text) == (404, unknown.text)
            assert (await request(other, body(refs(2)))).status == 202
            assert await decided(gateway, other) == {"committed": [], "failed": {uids(2)[0]: 0x0112}}
        async with client_of(gateway, "READER") as client:
            for answer in (await request(client, body(refs(1))), await check(client)):
                assert (answer.status, answer.text) == (403, "dicom.peers READER: commitment is not among its services")


@sqlite
async def test_a_request_that_waits_holds_no_other_under_its_transaction_uid(start: Start, tmp_path: Path) -> None:
    with storage_scp() as archive:
        async with start(**committing(tmp_path, to(archive.port), wait=600)) as gateway:
            await send(gateway, *instances(1))
            async with client_of(gateway, "CT1") as waiting, client_of(gateway, "CT2") as client, asyncio.timeout(120):
                assert (await request(waiting, body(refs(9)))).status == 202
                assert (await request(client, body(refs(1)))).status == 202
                while (await check(client)).status == 202:
                    assert (await check(waiting)).status == 202


@sqlite
async def test_two_requests_of_one_transaction_uid_at_once_are_one_transaction(start: Start, tmp_path: Path) -> None:
    async with start(**committing(tmp_path, wait=0.1)) as gateway, client_of(gateway, "CT1") as client:
        answers = await asyncio.gather(*(request(client, body(refs(number))) for number in range(1, 5)))
    assert sorted(answer.status for answer in answers) == [202, 409, 409, 409]


@sqlite
async def test_a_result_of_which_a_part_was_deleted_is_none(start: Start, tmp_path: Path) -> None:
    """Who got the rest of it might take what is left out for committed."""
    with storage_scp() as archive:
        sections = committing(tmp_path, to(archive.port))
        async with start(**sections) as gateway, client_of(gateway, "CT1") as client:
            await send(gateway, *instances(2))
            await request(client, body(refs(1, 2)))
            await decided(gateway, client)
            one = select(instance_rows.c.id).where(instance_rows.c.sop_uid == uids(1)[0])
            rows = await gateway.store.read(lambda connection: list(connection.execute(one).scalars()))
            await gateway.store.write(partial(commitments.forget, tally=Counter(), of_instances=rows))
            answer = await check(client)
            assert (answer.status, answer.text) == (404, "Transaction UID: what was decided is not kept any more")
            assert (await request(client, body(refs(1, 2)))).status == 409


@sqlite
async def test_the_resource_is_not_there_where_only_headers_are_kept(start: Start) -> None:
    async with start() as gateway, client_of(gateway, "CT1") as client:
        for answer in (await request(client, body(refs(1))), await check(client)):
            assert (answer.status, answer.text[:29]) == (404, "there is nothing at this path")
        assert b"commitment-requests" not in (await client.ask("OPTIONS", "/")).body
