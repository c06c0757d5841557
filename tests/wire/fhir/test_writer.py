"""Writing once: every way, on a real server, whatever is lost on the way or done by others meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, web
from yarl import URL

from gateway.errors import NeedsPerson, Unavailable
from gateway.simulators.ehr import EhrSimulator
from gateway.wire.fhir import FhirClient, Refused, Resource
from gateway.wire.fhir.capability import Way, capabilities_of
from gateway.wire.fhir.write import Duplicates, Written, id_for
from gateway.wire.fhir.writer import FhirWriter
from tests.peers.fhir_server import FhirServer
from tests.wire.fhir.forgetful import ForgetfulServer

UID = "urn:dicom:uid|urn:oid:1.2.3"
WAYS = list(Way)


def study(description: str = "first", uid: str = "1.2.3") -> Resource:
    return {
        "resourceType": "ImagingStudy",
        "status": "available",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
        "subject": {"display": "a made-up person"},
        "description": description,
    }


@pytest.fixture
async def client(fhir_server: FhirServer) -> AsyncIterator[FhirClient]:
    async with FhirClient(fhir_server.url, timeout_seconds=60) as one:
        yield one


Fault = Callable[[web.Request], Awaitable[str]]
"""Of a request: '' to let it pass, 'before' to drop it, 'after' to drop its answer."""


@asynccontextmanager
async def serving(*routes: web.RouteDef) -> AsyncIterator[str]:
    page = web.Application()
    page.add_routes(routes)
    runner = web.AppRunner(page, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def between(url: str, fault: Fault) -> AsyncIterator[str]:
    """A proxy in front of a server that loses what `fault` says."""

    async def forward(request: web.Request) -> web.StreamResponse:
        lost = await fault(request)
        if lost != "before":
            headers = {key: one for key, one in request.headers.items() if key not in ("Host", "Content-Length")}
            body = await request.read()
            address = URL(f"{url}{request.raw_path}", encoded=True)
            async with session.request(request.method, address, data=body or None, headers=headers) as answer:
                content = await answer.read()
                if not lost:
                    kept = {key: one for key, one in answer.headers.items() if key in ("Content-Type", "ETag")}
                    return web.Response(status=answer.status, body=content, headers=kept)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with ClientSession() as session, serving(web.route("*", "/{path:.*}", forward)) as proxy:
        yield proxy


def is_write(request: web.Request) -> bool:
    return request.method in ("POST", "PUT", "DELETE")


@pytest.mark.parametrize("way", WAYS)
async def test_create_update_and_nothing_new(client: FhirClient, fhir_server: FhirServer, way: Way) -> None:
    writer = FhirWriter(client, way=way)
    made = await writer.write(study(), UID)
    assert made.version
    assert made.note == ""
    known = made.id
    changed = await writer.write(study("second"), UID, known=known)
    assert (changed.id, changed.status) == (made.id, 200)
    assert changed.version != made.version
    [held] = await fhir_server.resources("ImagingStudy")
    assert (held["id"], held["description"], held["meta"]["versionId"]) == (made.id, "second", changed.version)
    # Somebody who does not know that it is there finds it.
    again = await writer.write(study("second"), UID, unsure=True)
    assert again == Written(200, made.id, changed.version, "already there")


@pytest.mark.parametrize("lost", ["before", "after"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_write_that_is_lost_is_there_once_after_the_next_try(
    fhir_server: FhirServer, way: Way, lost: str
) -> None:
    writes: list[str] = []

    async def fault(request: web.Request) -> str:
        if not is_write(request):
            return ""
        writes.append(request.method)
        return lost if len(writes) in (1, 3) else ""

    async with between(fhir_server.url, fault) as url, FhirClient(url, timeout_seconds=60) as client:
        writer = FhirWriter(client, way=way)
        with pytest.raises(Unavailable):
            await writer.write(study(), UID)
        made = await writer.write(study(), UID, unsure=True)
        known = made.id
        if lost == "after":
            assert (len(writes), made.note) == (1, "already there")
            # The next write to be lost is the third.
            await writer.write(study("between"), UID, known=known)
            known = made.id
        with pytest.raises(Unavailable):
            await writer.write(study("second"), UID, known=known)
        await writer.write(study("second"), UID, known=known, unsure=True)
    [held] = await fhir_server.resources("ImagingStudy")
    assert held["description"] == "second"
    assert len(writes) == (3 if lost == "after" else 4)


@pytest.mark.parametrize("way", WAYS)
async def test_what_another_writer_made_is_brought_up_to_date(
    client: FhirClient, fhir_server: FhirServer, way: Way
) -> None:
    theirs = await fhir_server.create(study("theirs"))
    written = await FhirWriter(client, way=way).write(study("ours"), UID)
    [held] = await fhir_server.resources("ImagingStudy")
    assert (held["id"], written.id, held["description"]) == (theirs["id"], theirs["id"], "ours")


@pytest.mark.parametrize("way", WAYS)
async def test_a_version_that_moved_is_read_again(client: FhirClient, fhir_server: FhirServer, way: Way) -> None:
    writer = FhirWriter(client, way=way)
    made = await writer.write(study(), UID)
    await client.put({**study("somebody else's"), "id": made.id})
    changed = await writer.write(study("ours"), UID, known=made.id)
    [held] = await fhir_server.resources("ImagingStudy")
    assert (held["description"], held["meta"]["versionId"]) == ("ours", changed.version)


@pytest.mark.parametrize("way", WAYS)
async def test_duplicates_are_reported_or_removed(client: FhirClient, fhir_server: FhirServer, way: Way) -> None:
    oldest, newer = await fhir_server.create(study("theirs")), await fhir_server.create(study("theirs too"))
    other = await fhir_server.create(study("another study", uid="1.2.4"))
    with pytest.raises(Duplicates) as caught:
        await FhirWriter(client, way=way).write(study("ours"), UID)
    assert sorted(caught.value.details["duplicates"]) == sorted([oldest["id"], newer["id"]])
    written = await FhirWriter(client, way=way, duplicates="remove").write(study("ours"), UID)
    held = {one["id"]: one["description"] for one in await fhir_server.resources("ImagingStudy")}
    assert held == {written.id: "ours", other["id"]: "another study"}
    assert written.id == min((oldest, newer), key=lambda one: (one["meta"]["lastUpdated"], one["id"]))["id"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_try_after_a_lost_one_sees_what_another_writer_made(
    client: FhirClient, fhir_server: FhirServer, way: Way
) -> None:
    """Ours came through unseen, and so did theirs: the next try must not take ours alone for the whole truth."""
    await FhirWriter(client, way=way).write(study("ours"), UID)
    await fhir_server.create(study("theirs"))
    with pytest.raises(Duplicates):
        await FhirWriter(client, way=way).write(study("ours"), UID, unsure=True)


@pytest.mark.parametrize("way", WAYS)
async def test_a_resource_that_was_deleted_stops_or_is_made_anew(client: FhirClient, way: Way) -> None:
    made = await FhirWriter(client, way=way).write(study(), UID)
    await client.delete("ImagingStudy", made.id)
    known = made.id
    with pytest.raises(NeedsPerson, match="was deleted on the server; set when_deleted: recreate"):
        await FhirWriter(client, way=way).write(study("second"), UID, known=known)
    assert await client.find("ImagingStudy", UID) == []
    again = await FhirWriter(client, way=way, when_deleted="recreate").write(study("second"), UID, known=known)
    [held] = await client.find("ImagingStudy", UID)
    assert (held["id"], held["description"]) == (again.id, "second")


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("way", [way for way in WAYS if way is not Way.CLIENT_ID])
async def test_an_id_that_was_given_again_is_another_patients(way: Way, version: str) -> None:
    """An EHR that lost its data gives ids again; what stands under a remembered id now must stay as it is.

    An id that is derived from the identifier is given to nobody else.
    """
    server, theirs = ForgetfulServer(), "urn:dicom:uid|urn:oid:1.9.9"
    async with serving(*server.routes) as url, FhirClient(url, timeout_seconds=60) as client:
        writer = FhirWriter(client, way=way)
        made = await writer.write(study("ours"), UID)
        server.empty()
        other = await writer.write(study("another patient's", "1.9.9"), theirs)
        if version == "2":
            other = await writer.write(study("another patient's, grown", "1.9.9"), theirs, known=other.id)
        assert (other.id, other.version) == (made.id, version)
        before = server.held()[made.id]
        again = await writer.write(study("ours, grown"), UID, known=made.id)
    assert server.held()[made.id] == before
    assert again.id != made.id
    assert server.held()[again.id]["description"] == "ours, grown"
    assert len(server.held()) == 2
    assert again.note == f"the server has given ImagingStudy/{made.id} to another resource since"


async def test_a_lost_resource_is_an_error_of_its_own_whatever_the_server_answers() -> None:
    """A PUT under a number that is not there is 400 on some servers."""
    server = ForgetfulServer()
    async with serving(*server.routes) as url, FhirClient(url, timeout_seconds=60) as client:
        made = await FhirWriter(client, way=Way.SEARCH).write(study(), UID)
        server.empty()
        with pytest.raises(NeedsPerson, match="was deleted on the server"):
            await FhirWriter(client, way=Way.SEARCH).write(study("grown"), UID, known=made.id)
        writer = FhirWriter(client, way=Way.SEARCH, when_deleted="recreate")
        await writer.write(study("grown"), UID, known=made.id)
    assert [one["description"] for one in server.held().values()] == ["grown"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_search_from_a_cache_makes_no_second_resource(way: Way) -> None:
    server = ForgetfulServer(caches_searches=True)
    async with serving(*server.routes) as url, FhirClient(url, timeout_seconds=60) as client:
        writer = FhirWriter(client, way=way)
        await client.find("ImagingStudy", UID)
        made = await writer.write(study(), UID)
        again = await writer.write(study(), UID, unsure=True)
        assert (again.id, again.note) == (made.id, "already there")
        assert len(server.writes) == 1
        # Nothing is remembered and no try is known to be lost: what stands there is found all the same.
        grown = await writer.write(study("grown"), UID)
    assert grown.id == made.id
    assert [one["description"] for one in server.held().values()] == ["grown"]
    assert len(server.writes) <= 3


@pytest.mark.parametrize("way", [Way.CLIENT_ID, Way.SEARCH])
async def test_two_that_create_at_once_end_with_one(fhir_server: FhirServer, way: Way) -> None:
    """Both have searched before either creates. A derived id is one address; after a search the newer one goes."""
    both, searched = asyncio.Event(), 0

    async def meet(request: web.Request) -> str:
        nonlocal searched
        if request.method == "GET" and "1.2.3" in request.path_qs and not both.is_set():
            searched += 1
            if searched == 2:
                both.set()
            await both.wait()
        return ""

    async with (
        between(fhir_server.url, meet) as url,
        FhirClient(url, timeout_seconds=60) as one,
        FhirClient(url, timeout_seconds=60) as two,
    ):
        writers = [FhirWriter(client, way=way, duplicates="remove") for client in (one, two)]
        await asyncio.gather(*(writer.write(study(), UID) for writer in writers))
    assert searched == 2
    assert len(await fhir_server.resources("ImagingStudy")) == 1


async def test_the_way_follows_from_what_the_server_announces(
    fhir_server: FhirServer, plain_fhir_server: FhirServer
) -> None:
    async with EhrSimulator() as ehr:
        expected = {
            ehr.url: Way.CLIENT_ID,
            fhir_server.url: Way.CONDITIONAL_UPDATE,
            plain_fhir_server.url: Way.SEARCH,
        }
        for url, way in expected.items():
            async with FhirClient(url, timeout_seconds=60) as client:
                writer = FhirWriter(client)
                assert await writer.ways.way("ImagingStudy") is way
                made = await writer.write(study(), UID)
                changed = await writer.write(study("second"), UID, known=made.id)
                [held] = await client.find("ImagingStudy", UID)
                assert (held["id"], held["description"], held["meta"]["versionId"]) == (
                    made.id,
                    "second",
                    changed.version,
                )


async def test_a_way_that_is_announced_and_refused_is_not_tried_again() -> None:
    asked: list[str] = []

    async def metadata(_request: web.Request) -> web.Response:
        listed = {"type": "ImagingStudy", "updateCreate": True, "conditionalCreate": True}
        return web.json_response({"resourceType": "CapabilityStatement", "rest": [{"resource": [listed]}]})

    async def search(_request: web.Request) -> web.Response:
        return web.json_response({"resourceType": "Bundle", "type": "searchset"})

    async def put(request: web.Request) -> web.Response:
        asked.append("PUT")
        return web.Response(status=405)

    async def post(request: web.Request) -> web.Response:
        asked.append("POST " + request.headers.get("If-None-Exist", ""))
        return web.json_response(study() | {"id": "7"}, status=201, headers={"ETag": 'W/"1"'})

    routes = (
        web.get("/metadata", metadata), web.get("/ImagingStudy", search), web.put("/ImagingStudy/{id}", put),
        web.post("/ImagingStudy", post),
    )  # fmt: skip
    async with serving(*routes) as url, FhirClient(url, timeout_seconds=60) as client:
        writer = FhirWriter(client)
        with pytest.raises(Unavailable, match="announces client_id and refuses it"):
            await writer.write(study(), UID)
        written = await writer.write(study(), UID, unsure=True)
        assert written == Written(201, "7", "1", request_id=written.request_id)
    assert asked == ["PUT", "POST identifier=urn:dicom:uid%7Curn:oid:1.2.3"]


@pytest.mark.parametrize("way", [None, *WAYS])
async def test_a_server_that_ignores_the_search_by_identifier_is_never_written_to(way: Way | None) -> None:
    """It would let us put one patient's study in the place of another's."""
    methods: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        methods.append(request.method)
        if request.path == "/metadata":
            return web.json_response({"resourceType": "CapabilityStatement"})
        entry = [{"resource": study("somebody else's", uid="9.9") | {"id": "1"}}]
        return web.json_response({"resourceType": "Bundle", "type": "searchset", "entry": entry})

    async with serving(web.route("*", "/{path:.*}", answer)) as url, FhirClient(url, timeout_seconds=60) as client:
        with pytest.raises(NeedsPerson, match="ignores the search parameter 'identifier'"):
            await FhirWriter(client, way=way).write(study(), UID)
    assert set(methods) == {"GET"}


async def test_a_refusal_is_not_taken_for_anything_else(client: FhirClient) -> None:
    with pytest.raises(Refused) as caught:
        await FhirWriter(client).write({**study(), "status": 7}, UID)
    assert caught.value.details["status"] == 400


def test_ids_are_legal_and_tell_nothing() -> None:
    assert id_for(UID) == id_for(UID) != id_for(UID + "4")
    assert len(id_for(UID)) == 40
    assert "1.2.3" not in id_for(UID)


@pytest.mark.parametrize(
    "statement",
    [
        {},
        {"rest": None},
        {"rest": [None, {"resource": [{"type": "ImagingStudy", "updateCreate": "yes"}, None]}]},
        {"rest": [{"mode": "client", "resource": [{"type": "ImagingStudy", "updateCreate": True}]}]},
        {"rest": [{"mode": "server", "resource": [{"type": "Patient", "updateCreate": True}]}]},
    ],
)
def test_what_is_not_announced_is_not_counted_on(statement: Resource) -> None:
    assert capabilities_of(statement, "ImagingStudy").ways == (Way.SEARCH,)
