"""Archive against gateway against EHR: what is missing, altered and too much is named, repaired, and then gone."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from operator import not_
from pathlib import Path
from typing import Any

import aiohttp
import pydicom
import pytest
from aiohttp import web
from sqlalchemy import Connection

from gateway.assembly.mappings import load_mappings
from gateway.assembly.process import Running
from gateway.assembly.reconcile import reconciliation
from gateway.clock import now
from gateway.config.ehrs import Ehr
from gateway.config.receiver import Retry
from gateway.config.tree import Config
from gateway.errors import ConfigError, Conflict, GatewayError, NeedsPerson, Unavailable
from gateway.operations.reconcile import Report, Span
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.reconciliation import Difference
from gateway.store import Store, deleted_studies, outbox_listing, reconciliations, reconciling, studies
from gateway.store.retention.studies import delete_studies
from gateway.wire.dimse import client
from tests.conftest import comes_true
from tests.journey.running import Start, config_of, quiet, sqlite
from tests.journey.test_polled_sources import FIRST_DAY, RETRY, asked, holds, written
from tests.peers.fhir_server import FhirServer
from tests.peers.orthanc import Orthanc
from tests.wire.dimse.peers import HOST, PEER

STUDIES = int(os.environ.get("RECONCILED_STUDIES", "8"))
DELETED, ALTERED = (5, 3) if STUDIES >= 50 else (2, 2)
LAST_DAY = FIRST_DAY + timedelta(days=24)
SPAN = Span(FIRST_DAY, LAST_DAY)
EHR = "ehr0"


def ehr(server: FhirServer, **more: Any) -> list[Ehr]:
    return [Ehr(name=EHR, url=server.url, retry=Retry(first_seconds=0.1, max_seconds=0.5), **more)]


def by_web(orthanc: Orthanc) -> dict[str, Any]:
    return {"name": "pacs", "kind": "dicomweb", "url": orthanc.dicomweb, "window_days": 25, "retry": RETRY}


def by_dimse(orthanc: Orthanc) -> dict[str, Any]:
    return {
        "name": "pacs",
        "kind": "dicom",
        "ae_title": orthanc.ae_title,
        "port": orthanc.dicom_port,
        "host": "127.0.0.1",
    }


def sections(source: dict[str, Any], server: FhirServer) -> dict[str, Any]:
    return {**asked(source), "ehrs": ehr(server)}


async def compared(
    config: Config, store: Store, *, span: Span = SPAN, fix: bool = False, withdraw_extra: bool = False
) -> tuple[list[Difference], Report]:
    report = Report(span)
    async with reconciliation(config, store, load_mappings(config), now, span) as comparison:
        comparison.wait = no_pause
        run = comparison.run(report, fix=fix, withdraw_extra=withdraw_extra)
        return [one async for one in run], report


async def no_pause(_tried: int) -> None:
    return None


def named(found: list[Difference]) -> Counter[tuple[str, str]]:
    return Counter((one.kind.value, one.place) for one in found)


@asynccontextmanager
async def filled(
    start: Start, database_url: str, orthanc: Orthanc, server: FhirServer, folder: Path
) -> AsyncIterator[tuple[Config, Running]]:
    """A gateway that has read all studies of the archive and delivered them."""
    for number in range(STUDIES):
        await orthanc.upload(*written(folder, number, instances=1))
    await orthanc.knows("GATEWAY", 104)
    wanted = sections(by_web(orthanc), server)
    async with start(**wanted) as gateway:
        await holds(gateway, STUDIES, STUDIES)
        await delivered(gateway, server)
        yield config_of(database_url, **wanted), gateway


async def delivered(gateway: Running, server: FhirServer) -> None:
    await comes_true(partial(server.resources, "ImagingStudy"), lambda found: len(found) == STUDIES)
    await quiet_ehr(gateway)


async def _waiting(gateway: Running) -> list[Any]:
    rows = await gateway.store.read(lambda one: outbox_listing.listing(one, states=("pending", "leased")))
    return [row for row in rows if row["kind"].startswith(("ehr:", "settle"))]


async def delete(server: FhirServer, resource: dict[str, Any]) -> None:
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        await session.delete(f"{server.url}/ImagingStudy/{resource['id']}")


async def put(server: FhirServer, resource: dict[str, Any]) -> None:
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        await session.put(f"{server.url}/ImagingStudy/{resource['id']}", json=resource)


@sqlite
async def test_what_was_deleted_and_altered_is_named_repaired_and_then_gone(
    start: Start, database_url: str, orthanc_web: Orthanc, fhir_server: FhirServer, tmp_path: Path
) -> None:
    async with filled(start, database_url, orthanc_web, fhir_server, tmp_path) as (config, gateway):
        assert (await compared(config, gateway.store))[0] == []
        by_query = config_of(database_url, **sections(by_dimse(orthanc_web), fhir_server))
        assert (await compared(by_query, gateway.store))[0] == []
        held = await fhir_server.resources("ImagingStudy")
        gone, altered = held[:DELETED], held[DELETED : DELETED + ALTERED]
        for one in gone:
            await delete(fhir_server, one)
        for one in altered:
            await put(fhir_server, {**one, "description": "altered by hand"})
        stranger = {
            "resourceType": "ImagingStudy", "status": "available", "subject": {"display": "nobody"},
            "started": FIRST_DAY.isoformat(), "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3.4"}],
        }  # fmt: skip
        await fhir_server.create(stranger)

        found, report = await compared(config, gateway.store, fix=True)
        assert named(found) == {("missing", EHR): DELETED, ("different", EHR): ALTERED, ("extra", EHR): 1}
        uid_of = {one["identifier"][0]["value"].removeprefix("urn:oid:") for one in gone}
        assert {one.study_uid for one in found if one.kind == "missing"} == uid_of
        assert {one.reason for one in found} == {
            "it was deleted there", "not as it was delivered: description",
            "neither the gateway nor an archive that was asked has such a study",
        }  # fmt: skip
        assert (report.repaired, report.studies) == (DELETED + ALTERED, STUDIES)
        await quiet_ehr(gateway)
        again, report = await compared(config, gateway.store, fix=True, withdraw_extra=True)
        assert (named(again), report.repaired) == ({("extra", EHR): 1}, 1)
        await quiet_ehr(gateway)
        [stranger] = await fhir_server.resources("ImagingStudy", identifier="urn:dicom:uid|urn:oid:1.2.3.4")
        assert stranger["status"] == "entered-in-error"
        last = await gateway.store.read(reconciliations.last)
        assert last is not None
        assert (last["failure"], last["outcome"]["differences"]) == ("", 1)
        assert (await compared(config, gateway.store))[0] == []


@sqlite
@pytest.mark.parametrize("by", [by_web, by_dimse])
async def test_what_the_archive_has_and_has_not_is_named_and_read(
    start: Start,
    database_url: str,
    orthanc_web: Orthanc,
    fhir_server: FhirServer,
    tmp_path: Path,
    by: Callable[[Orthanc], dict[str, Any]],
) -> None:
    """While the source is not polled, so that nothing comes by itself."""
    files = [written(tmp_path, number, instances=2) for number in range(4)]
    for first, *_ in files[:3]:
        await orthanc_web.upload(first)
    await orthanc_web.knows("GATEWAY", 104)
    wanted = sections(by(orthanc_web), fhir_server)
    config = config_of(database_url, **wanted)
    async with start(**wanted) as gateway:
        await holds(gateway, 3, 3)
        await quiet_ehr(gateway)
    await orthanc_web.upload(*files[1], *files[3])
    await orthanc_web.remove(str(pydicom.dcmread(files[2][0]).StudyInstanceUID))
    async with start(ehrs=wanted["ehrs"]) as gateway:
        found, _ = await compared(config, gateway.store, fix=True)
        assert named(found) == {("missing", "gateway"): 1, ("different", "gateway"): 1, ("extra", "gateway"): 1}
    async with start(**wanted) as gateway:
        await holds(gateway, 4, 6)
        await quiet_ehr(gateway)
        found, _ = await compared(config, gateway.store)
        assert named(found) == {("extra", "gateway"): 1}
    async with start(ehrs=wanted["ehrs"]) as gateway:
        for number, (remembered_at, differences) in enumerate([(None, 1), (now(), 1)]):
            uid = pydicom.dcmread(files[number][0]).StudyInstanceUID
            await gateway.store.write(partial(taken_away, uid=uid, remembered_at=remembered_at))
            found, report = await compared(config, gateway.store, fix=True)
            missing = [one for one in found if one.kind == "missing"]
            assert [(one.place, one.repair.value) for one in missing] == [("gateway", "")] * differences
            assert report.repaired == 0


@sqlite
async def test_a_study_whose_uid_the_archive_changed_is_read_and_then_gone(
    start: Start, database_url: str, orthanc_web: Orthanc, fhir_server: FhirServer, tmp_path: Path
) -> None:
    """The former study came by C-STORE: the gateway has more of it than the archive gives of the new one."""
    files = written(tmp_path, 0, instances=2)
    wanted = sections(by_web(orthanc_web), fhir_server)
    config = config_of(database_url, **wanted)
    former = str(pydicom.dcmread(files[0]).StudyInstanceUID)
    await orthanc_web.upload(*files)
    async with start(ehrs=wanted["ehrs"]) as gateway:
        assert {status for _, status in await client.store(HOST, gateway.dicom_port, files, **PEER)} == {0}
        await quiet(gateway)
        assert (await compared(config, gateway.store))[0] == []
        await orthanc_web.change_study_uid(former, f"{former}.1")
        found, _ = await compared(config, gateway.store, fix=True)
        assert named(found) == {("missing", "gateway"): 1, ("extra", "gateway"): 1}
    async with start(**wanted) as gateway:
        await holds(gateway, 2, 4)
        await quiet_ehr(gateway)
        assert (await compared(config, gateway.store))[0] == []
    held = {
        one["identifier"][0]["value"]: (one["status"], one["numberOfInstances"])
        for one in await fhir_server.resources("ImagingStudy")
    }
    assert held == {
        f"urn:oid:{former}": ("entered-in-error", 0),
        f"urn:oid:{former}.1": ("available", 2),
    }


def taken_away(connection: Connection, uid: str, remembered_at: int | None) -> None:
    """As `gateway erase` deletes a study (None), or retention."""
    row = studies.get(connection, StudyInstanceUID(uid))
    assert row is not None
    delete_studies(connection, [row["id"]], remembered_at=remembered_at)


@sqlite
async def test_what_not_every_archive_was_asked_for_is_never_withdrawn(
    store: Store, database_url: str, fhir_server: FhirServer
) -> None:
    """Nor is extra what is in error already, is found by the day of another zone, or went here by its age."""
    day = FIRST_DAY.isoformat()
    for uid, status, started in (
        ("1.2.3.1", "available", day),
        ("1.2.3.2", "entered-in-error", day),
        ("1.2.3.3", "available", f"{FIRST_DAY - timedelta(days=1)}T23:30:00-05:00"),
        ("1.2.3.4", "available", day),
    ):
        identifier = [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}]
        await fhir_server.create({
            "resourceType": "ImagingStudy", "status": status, "subject": {"display": "nobody"}, "started": started,
            "identifier": identifier,
        })  # fmt: skip
    config = config_of(database_url, ehrs=ehr(fhir_server))
    await store.write(lambda one: deleted_studies.remember(one, {"1.2.3.4": 1}, now()))
    found, report = await compared(config, store, fix=True, withdraw_extra=True)
    assert [(one.study_uid, one.kind.value, one.repair.value) for one in found] == [("1.2.3.1", "extra", "")]
    assert report.repaired == 0


@sqlite
async def test_a_study_that_comes_during_the_comparison_is_not_withdrawn(
    store: Store, database_url: str, fhir_server: FhirServer
) -> None:
    uid = StudyInstanceUID("1.2.3")

    def both(connection: Connection) -> tuple[bool, bool]:
        first = reconciling.withdraw(connection, EHR, uid, {}, now=now())
        deleted_studies.remember(connection, {uid: 1}, now())
        return first, reconciling.withdraw(connection, EHR, uid, {}, now=now())

    assert await store.write(both) == (True, False)


async def quiet_ehr(gateway: Running) -> None:
    await comes_true(partial(_waiting, gateway), not_)


@asynccontextmanager
async def server_of(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """The address of an EHR that answers as a test wants."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def page(*ids: str, next_page: str = "") -> web.Response:
    entries = [{"resource": {"resourceType": "ImagingStudy", "id": one}} for one in ids]
    links = [{"relation": "next", "url": next_page}] if next_page else []
    return web.json_response({"resourceType": "Bundle", "type": "searchset", "entry": entries, "link": links})


async def fails(request: web.Request) -> web.Response:
    """The first page, then HTTP 500."""
    if "page" in request.query:
        return web.Response(status=500)
    return page("1", next_page=f"http://{request.host}/ImagingStudy?page=2")


async def repeats(request: web.Request) -> web.Response:
    return page("1", "2", next_page=f"http://{request.host}/ImagingStudy?page=2")


async def goes_elsewhere(request: web.Request) -> web.Response:
    return page("1", next_page="http://192.0.2.1/ImagingStudy?page=2")


@sqlite
@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [(fails, Unavailable, "500"), (repeats, NeedsPerson, "the same page again"),
     (goes_elsewhere, NeedsPerson, "another origin")],
)  # fmt: skip
async def test_an_ehr_that_cannot_be_read_to_the_end_is_a_clear_error(
    store: Store, database_url: str, answer: Any, error: type[GatewayError], words: str
) -> None:
    async with server_of(answer) as url:
        config = config_of(database_url, ehrs=[Ehr(name=EHR, url=url)])
        with pytest.raises(error, match=words):
            await compared(config, store, span=Span(FIRST_DAY, FIRST_DAY), fix=True)
        last = await store.read(reconciliations.last)
        assert last is not None
        assert words in last["failure"]
        assert last["ended_at"] is not None


@sqlite
async def test_an_archive_that_is_off_is_a_clear_error_and_nothing_is_repaired(
    store: Store, database_url: str, fhir_server: FhirServer
) -> None:
    source = {"name": "pacs", "kind": "dicomweb", "url": "http://127.0.0.1:1", "retry": RETRY}
    config = config_of(database_url, **asked(source), ehrs=ehr(fhir_server))
    with pytest.raises(Unavailable, match="no answer"):
        await compared(config, store, fix=True)
    rows = await store.read(lambda one: outbox_listing.listing(one, limit=10))
    assert rows == []


@sqlite
async def test_one_process_compares(store: Store, database_url: str) -> None:
    goes_on = asyncio.Event()

    async def waits(_request: web.Request) -> web.Response:
        await goes_on.wait()
        return page()

    async with server_of(waits) as url:
        config = config_of(database_url, ehrs=[Ehr(name=EHR, url=url, timeout_seconds=120)])
        async with reconciliation(config, store, load_mappings(config), now, SPAN) as first:
            begun = asyncio.ensure_future(anext(first.run(Report(SPAN)), None))
            await comes_true(partial(store.read, reconciliations.last))
            with pytest.raises(Conflict):
                await compared(config, store)
            goes_on.set()
            assert await begun is None


@sqlite
async def test_a_name_that_is_not_configured_is_refused(store: Store, database_url: str) -> None:
    config = config_of(database_url)
    with pytest.raises(ConfigError, match="those that can: none"):
        async with reconciliation(config, store, load_mappings(config), now, SPAN, ehrs=["main"]):
            pytest.fail("it is refused")
