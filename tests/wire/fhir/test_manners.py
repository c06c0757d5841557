"""How we behave towards a server: request ids, compression where it is taken, a pace."""

from __future__ import annotations

import asyncio
import uuid

import orjson
import pytest
from aiohttp import web

from gateway.errors import Unavailable
from gateway.wire.fhir import FhirClient, Refused
from gateway.wire.fhir.pace import Pace
from tests.peers.fhir_server import FhirServer
from tests.wire.fhir.test_client import STUDY, UID, serving

LARGE = STUDY | {"description": "x" * 5000}


class Receiver:
    """Takes everything; says `accepts` of encodings, and refuses what is compressed with the status `refuses`."""

    def __init__(self, accepts: str | None = None, *, refuses: int = 0) -> None:
        self.accepts = accepts
        self.refuses = refuses
        self.seen: list[tuple[str, int]] = []
        """(Content-Encoding, size) of each body."""

    async def __call__(self, request: web.Request) -> web.Response:
        encoding = request.headers.get("Content-Encoding", "")
        size = int(request.headers["Content-Length"])
        body = await request.read()  # decompressed by aiohttp
        self.seen.append((encoding, size))
        headers = {"Accept-Encoding": self.accepts} if self.accepts is not None else {}
        if encoding and self.refuses:
            return web.Response(status=self.refuses, headers=headers)
        assert orjson.loads(body)["resourceType"] == "ImagingStudy"
        return web.json_response(orjson.loads(body) | {"id": "1"}, headers=headers | {"ETag": 'W/"1"'})


@pytest.mark.parametrize(
    ("accepts", "compress", "encodings"),
    [
        (None, "auto", ["", "", ""]),
        ("identity", "auto", ["", "", ""]),
        ("gzip, deflate", "auto", ["", "gzip", "gzip"]),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", "auto", ["", "gzip", "gzip"]),
        ("gzip;q=0, identity", "auto", ["", "", ""]),
        ("gzip", "never", ["", "", ""]),
        (None, "always", ["gzip", "gzip", "gzip"]),
    ],
)
async def test_bodies_are_compressed_for_who_says_he_takes_them(
    accepts: str | None, compress: str, encodings: list[str]
) -> None:
    receiver = Receiver(accepts)
    async with serving(receiver) as url, FhirClient(url, timeout_seconds=60, compress=compress) as client:  # type: ignore[arg-type]
        for _ in encodings:
            await client.put_by_identifier(LARGE, UID)
    assert [encoding for encoding, _ in receiver.seen] == encodings
    assert all(size < 500 for encoding, size in receiver.seen if encoding)


async def test_small_bodies_are_sent_as_they_are() -> None:
    receiver = Receiver("gzip")
    async with serving(receiver) as url, FhirClient(url, timeout_seconds=60, compress="always") as client:
        await client.put_by_identifier(STUDY, UID)
    assert [encoding for encoding, _ in receiver.seen] == [""]


@pytest.mark.parametrize("status", [415, 400])
async def test_a_server_that_promised_too_much_gets_it_plain_at_once_and_from_then_on(status: int) -> None:
    receiver = Receiver("gzip", refuses=status)
    async with serving(receiver) as url, FhirClient(url, timeout_seconds=60) as client:
        for _ in range(3):
            answer = await client.put_by_identifier(LARGE, UID)
            assert answer.id == "1"
    assert [encoding for encoding, _ in receiver.seen] == ["", "gzip", "", ""]


async def test_where_compression_is_demanded_a_415_is_a_refusal() -> None:
    async with (
        serving(Receiver(refuses=415)) as url,
        FhirClient(url, timeout_seconds=60, compress="always") as client,
    ):
        with pytest.raises(Refused) as caught:
            await client.put_by_identifier(LARGE, UID)
    assert caught.value.details["status"] == 415


async def test_a_real_server_takes_compressed_bodies(fhir_server: FhirServer) -> None:
    async with FhirClient(fhir_server.url, timeout_seconds=60, compress="always") as client:
        await client.put_by_identifier(LARGE, UID)
        [held] = await client.find("ImagingStudy", UID)
    assert held["description"] == LARGE["description"]


async def test_each_request_has_an_id_that_an_error_tells() -> None:
    ids: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        ids.append(request.headers["X-Request-Id"])
        return web.Response(status=503 if len(ids) == 1 else 422)

    async with serving(answer) as url, FhirClient(url, timeout_seconds=60) as client:
        with pytest.raises(Unavailable) as first:
            await client.put_by_identifier(STUDY, UID)
        with pytest.raises(Refused) as second:
            await client.put_by_identifier(STUDY, UID)
    assert [first.value.details["request_id"], second.value.details["request_id"]] == ids
    assert len({uuid.UUID(one) for one in ids}) == 2


async def test_requests_come_no_faster_than_they_may() -> None:
    loop = asyncio.get_running_loop()
    pace = Pace(50)
    begun = loop.time()
    times: list[float] = []

    async def one() -> None:
        await pace.turn()
        times.append(loop.time() - begun)

    await asyncio.gather(*(one() for _ in range(10)))
    # None is early; how late one is depends on the machine.
    assert all(at >= number / 50 - 0.001 for number, at in enumerate(sorted(times)))
