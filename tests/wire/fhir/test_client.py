"""The FHIR client: what an answer means, on real sockets."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.errors import Unavailable
from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.ehr_answers import Manners
from gateway.wire.fhir import FhirClient, Refused
from gateway.wire.oauth.authorization import Bearer
from tests.peers.fhir_server import FhirServer

UID = "urn:dicom:uid|urn:oid:1.2.3"
STUDY = {
    "resourceType": "ImagingStudy",
    "status": "available",
    "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}],
    "subject": {"display": "a made-up person"},
}


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    page = web.Application()
    page.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(page, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def put(url: str, **options: object) -> object:
    async with FhirClient(url, timeout_seconds=60, **options) as client:  # type: ignore[arg-type]
        return await client.put_by_identifier(STUDY, UID)


async def test_create_update_and_find_on_the_simulator_and_on_a_real_server(fhir_server: FhirServer) -> None:
    async with EhrSimulator() as simulator:
        for url in (simulator.url, fhir_server.url):
            async with FhirClient(url, timeout_seconds=60) as client:
                first = await client.put_by_identifier(STUDY, UID)
                second = await client.put_by_identifier({**STUDY, "description": "changed"}, UID)
                assert first.id == second.id
                assert first.version != second.version
                [found] = await client.find("ImagingStudy", UID)
                assert (found["id"], found["description"]) == (first.id, "changed")
                assert await client.find("ImagingStudy", "urn:dicom:uid|urn:oid:9.9") == []


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 520, 524, 529, 599])
async def test_what_may_pass_is_unavailable(status: int) -> None:
    async with EhrSimulator() as ehr:
        ehr.manners = Manners(fail_next=1, status=status, retry_after=7, html=status == 502)
        with pytest.raises(Unavailable) as caught:
            await put(ehr.url)
        assert caught.value.retry_after == 7
        assert str(status) in caught.value.message


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 412, 413, 415, 422, 501, 505])
async def test_what_will_not_pass_is_refused_with_the_outcome(status: int) -> None:
    async def answer(_request: web.Request) -> web.Response:
        issue = {"severity": "error", "code": "invalid", "diagnostics": "no", "expression": ["ImagingStudy.status"]}
        return web.json_response({"resourceType": "OperationOutcome", "issue": [issue]}, status=status)

    async with serving(answer) as url:
        with pytest.raises(Refused) as caught:
            await put(url)
        assert caught.value.details["status"] == status
        assert caught.value.details["issues"] == [
            {"severity": "error", "code": "invalid", "text": "no", "path": "ImagingStudy.status"}
        ]


async def test_the_text_of_a_refused_write_begins_with_what_stopped_it() -> None:
    """A warning that comes first, or whose code would be worth a retry, decides nothing."""
    issues = [
        {"severity": "information", "code": "informational", "diagnostics": "a hint"},
        {"severity": "warning", "code": "incomplete", "diagnostics": "no narrative"},
        {"severity": "error", "code": "required", "details": {"text": "status is missing"}},
        {"severity": "fatal", "code": "structure", "diagnostics": "cannot be read"},
    ]

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"resourceType": "OperationOutcome", "issue": issues}, status=422)

    async with serving(answer) as url:
        with pytest.raises(Refused) as caught:
            await put(url)
    assert caught.value.message == "HTTP 422: cannot be read; status is missing; no narrative; a hint"
    assert [one["severity"] for one in caught.value.details["issues"]] == ["fatal", "error", "warning", "information"]


async def test_a_transient_issue_is_retried_whatever_the_status() -> None:
    async def answer(_request: web.Request) -> web.Response:
        issue = {"severity": "error", "code": "lock-error"}
        return web.json_response({"resourceType": "OperationOutcome", "issue": [issue]}, status=422)

    async with serving(answer) as url:
        with pytest.raises(Unavailable):
            await put(url)


ODD_BODIES = [
    b"", b"<html>no</html>", b"[1, 2]", b"\xff\xfe", b'{"resourceType": 7}',
    b'{"resourceType": "OperationOutcome", "issue": {"code": "invalid"}}',
    b'{"resourceType": "OperationOutcome", "issue": ["no", 7, {"details": "no", "expression": "a", "severity": []}]}',
]  # fmt: skip


@pytest.mark.parametrize("body", ODD_BODIES)
async def test_any_body_of_an_error_is_survived(body: bytes) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=400, body=body)

    async with serving(answer) as url:
        with pytest.raises(Refused, match="HTTP 400"):
            await put(url)


@pytest.mark.parametrize("offset", [30, -30, 90_000])
async def test_retry_after_may_be_a_date(offset: int) -> None:
    async def answer(_request: web.Request) -> web.Response:
        at = email.utils.formatdate(time.time() + offset, usegmt=True)
        return web.Response(status=503, headers={"Retry-After": at})

    async with serving(answer) as url:
        with pytest.raises(Unavailable) as caught:
            await put(url)
        assert caught.value.retry_after is not None
        assert 0 <= caught.value.retry_after <= 3600
        assert (caught.value.retry_after > 0) == (offset > 0)


@pytest.mark.parametrize(
    "written", ["\u00b2", "Fri, 31 Dec 99999999999 23:59:59 GMT", "Fri, 31 Dec 2030 23:59:59 +99999999999999"]
)
async def test_what_is_no_moment_in_retry_after_asks_for_nothing(written: str) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": written})

    async with serving(answer) as url:
        with pytest.raises(Unavailable) as caught:
            await put(url)
        assert caught.value.retry_after is None


async def test_a_date_in_retry_after_is_read_by_the_clock_of_its_server() -> None:
    """That clock is an hour behind ours: by ours the date is over."""

    async def answer(_request: web.Request) -> web.Response:
        there = time.time() - 3600
        date, later = (email.utils.formatdate(at, usegmt=True) for at in (there, there + 30))
        return web.Response(status=503, headers={"Date": date, "Retry-After": later})

    async with serving(answer) as url:
        with pytest.raises(Unavailable) as caught:
            await put(url)
        assert caught.value.retry_after == 30


async def test_a_lost_answer_is_not_sent_again_behind_our_back() -> None:
    async with EhrSimulator() as ehr, FhirClient(ehr.url, timeout_seconds=60) as client:
        # The first exchange leaves a kept-alive connection: the case in which aiohttp repeats a PUT.
        await client.put_by_identifier(STUDY, UID)
        ehr.manners = Manners(drop_next=1)
        with pytest.raises(Unavailable):
            await client.put_by_identifier(STUDY, UID)
        assert len(ehr.writes) == 2


async def test_nobody_there_and_silence_are_unavailable() -> None:
    async def silent(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError("never")

    with pytest.raises(Unavailable):
        await put("http://127.0.0.1:9/fhir")
    async with serving(silent) as url, FhirClient(url, timeout_seconds=0.3) as client:
        with pytest.raises(Unavailable, match="TimeoutError"):
            await client.put_by_identifier(STUDY, UID)


async def test_a_redirect_does_not_carry_the_token_elsewhere() -> None:
    asked: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Authorization", ""))
        return web.json_response({})

    async def redirect(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer secret"
        return web.Response(status=307, headers={"Location": f"{other}/ImagingStudy"})

    async with serving(elsewhere) as other, serving(redirect) as url:
        with pytest.raises(Refused, match="HTTP 307"):
            await put(url, authorization=Bearer("secret"))
    assert asked == []


@pytest.mark.parametrize("kilobytes", [10, 400, 3000])
async def test_an_answer_of_any_size_is_read_whole(kilobytes: int) -> None:
    """aiohttp hands out what has arrived; a search that is cut short must not read as "nothing there"."""
    held = {**STUDY, "id": "7", "description": "x" * kilobytes * 1024}
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": held}]}

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(bundle)

    async with serving(answer) as url, FhirClient(url, timeout_seconds=60) as client:
        assert await client.find("ImagingStudy", UID) == [held]


async def test_a_login_page_is_neither_a_write_nor_an_empty_search() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text="<html>log in</html>", content_type="text/html")

    async with serving(answer) as url, FhirClient(url, timeout_seconds=60) as client:
        with pytest.raises(Unavailable):
            await client.put_by_identifier(STUDY, UID)
        with pytest.raises(Unavailable):
            await client.find("ImagingStudy", UID)


async def test_after_a_write_without_an_answer_the_next_try_waits_as_long_again() -> None:
    async def silent(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError("never")

    async with serving(silent) as url, FhirClient(url, timeout_seconds=0.3) as client:
        with pytest.raises(Unavailable) as caught:
            await client.put_by_identifier(STUDY, UID)
        assert caught.value.retry_after == 0.3


async def test_a_server_that_does_not_say_what_it_wrote_is_asked() -> None:
    """HTTP 204, or `Prefer: return=minimal` at its default (RFC 7240 4.2)."""
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.method)
        if request.method == "PUT":
            return web.Response(status=204)
        held = STUDY | {"id": "7", "meta": {"versionId": "3"}}
        return web.json_response({"resourceType": "Bundle", "entry": [{"resource": held}]})

    async with serving(answer) as url, FhirClient(url, timeout_seconds=60) as client:
        found = await client.put_by_identifier(STUDY, UID)
    assert (found.status, found.id, found.version) == (204, "7", "3")
    assert asked == ["PUT", "GET"]


async def test_a_write_that_cannot_be_seen_is_no_success() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=200) if request.method == "PUT" else web.json_response({"resourceType": "Bundle"})

    async with serving(answer) as url:
        with pytest.raises(Unavailable, match="finds 0 resources"):
            await put(url)
