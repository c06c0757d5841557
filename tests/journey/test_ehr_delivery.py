"""Delivery to an EHR that misbehaves: each study is there once, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import aiohttp
from aiohttp import web
from sqlalchemy import Connection

from bench.ports import free_port
from gateway.assembly import process as app
from gateway.config.ehrs import Ehr
from gateway.config.receiver import Retry
from gateway.config.site import Site
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.row_ids import WorkRow
from gateway.records.work import Lane, delivery_to
from gateway.simulators import modality, ris
from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.ehr_answers import Manners
from gateway.simulators.studies import perform
from gateway.store import outbox, outbox_listing
from gateway.wire.fhir.sameness import says_the_same
from tests.conftest import comes_true, until
from tests.journey.messages import orm
from tests.journey.running import UNHURRIED, Start, quiet, sqlite
from tests.journey.test_scheduling import outcomes
from tests.journey.test_study_arrival import sample, send
from tests.peers.fhir_server import FhirServer


async def examine(gateway: app.Running, seed: int, count: int) -> list[str]:
    """Order, query and store `count` studies; returns their UIDs."""
    orders = list(ris.orders(seed, count))
    await ris.send("127.0.0.1", gateway.hl7_ports["ris"], [one.hl7() for one in orders], concurrency=4)
    uids = [one.study_uid for one in orders]
    items = [one for one in await modality.query("127.0.0.1", gateway.dicom_port) if one.StudyInstanceUID in uids]
    datasets = [one for item in items for one in perform(item, series=1, instances=2)]
    await modality.send("127.0.0.1", gateway.dicom_port, datasets)
    return uids


def study_uids(resources: list[dict[str, Any]]) -> list[str]:
    return sorted(
        identifier["value"].removeprefix("urn:oid:")
        for one in resources
        for identifier in one["identifier"]
        if identifier["system"] == "urn:dicom:uid"
    )


async def test_503_for_a_while_then_death_after_the_write(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url, studies=UNHURRIED) as gateway:
        ehr.manners = Manners(fail_next=9, status=503, drop_next=6)
        uids = await examine(gateway, seed=11, count=8)
        await quiet(gateway)
        assert study_uids(ehr.resources("ImagingStudy")) == sorted(uids)
        assert {one["meta"]["versionId"] for one in ehr.resources("ImagingStudy")} == {"1"}
        dropped = [one for one in ehr.writes if one.status is None]
        assert len(dropped) == 6
        # A write whose answer was lost was asked for, found, and not sent a second time.
        kept = [one.target for one in ehr.writes if one.kept]
        assert len(kept) == len(set(kept)) == 8


@sqlite
async def test_behind_a_proxy_that_drops_the_answer_of_a_real_server(start: Start, fhir_server: FhirServer) -> None:
    """The real server commits, the proxy in front of it closes the connection instead of answering."""
    drops = iter(range(3))
    async with proxy(fhir_server.url, drops) as url, start(url) as gateway:
        uids = await examine(gateway, seed=12, count=4)
        await quiet(gateway)
        resources = await fhir_server.resources("ImagingStudy")
        assert next(drops, None) is None, "the proxy never dropped an answer"
        assert study_uids(resources) == sorted(uids)


class proxy:
    """Forwards to a FHIR server; closes the connection instead of passing the answer to as many PUTs as `drops` has."""

    def __init__(self, target: str, drops: Iterator[int]) -> None:
        self._target = target
        self._drops = drops

    async def __aenter__(self) -> str:
        self._session = aiohttp.ClientSession()
        page = web.Application(client_max_size=2**26)
        page.router.add_route("*", "/{path:.*}", self._forward)
        self._runner = web.AppRunner(page, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_error: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        address = f"{self._target}{request.raw_path}"
        headers = {key: one for key, one in request.headers.items() if key in ("Content-Type", "Accept")}
        body = await request.read()
        from yarl import URL

        async with self._session.request(request.method, URL(address, encoded=True), data=body, headers=headers) as got:
            content = await got.read()
            if request.method == "PUT" and next(self._drops, None) is not None:
                assert request.transport is not None
                request.transport.abort()
            passed = {key: one for key, one in got.headers.items() if key in ("Content-Type", "ETag", "Location")}
            return web.Response(status=got.status, body=content, headers=passed)


@sqlite
async def test_passing_failures_are_retried(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url, studies=UNHURRIED) as gateway:
        for number, status in enumerate((408, 429, 500, 502, 504), 1):
            ehr.manners = Manners(fail_next=2, status=status, html=status == 502)
            await examine(gateway, seed=100 + number, count=1)
            await quiet(gateway)
            assert len(ehr.resources("ImagingStudy")) == number, status
            rows = await gateway.store.read(lambda c: outbox_listing.listing(c, states=("done", "superseded")))
            sent = [(row["state"], row["attempts"]) for row in rows if row["kind"].startswith("ehr:")]
            assert sent == [("done", 3)] * number, status


@sqlite
async def test_refusal_is_parked_with_its_outcome_and_replayed(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url, studies=UNHURRIED) as gateway:
        ehr.manners = Manners(fail_next=1, status=422)
        await examine(gateway, seed=14, count=2)
        await quiet(gateway)
        assert len(ehr.resources("ImagingStudy")) == 1, "one refusal must not hold the other study"
        [parked] = await gateway.store.read(lambda c: outbox_listing.listing(c, states=("parked",)))
        assert parked["outcome"]["status"] == 422
        assert parked["outcome"]["issues"][0]["text"]
        await gateway.store.write(lambda c: outbox_listing.replay(c, [parked["id"]], now=0))
        await until(lambda: len(ehr.resources("ImagingStudy")) == 2, what="the replayed delivery")


@sqlite
async def test_ehr_away_gets_the_latest_version_once(start: Start) -> None:
    """What is under way is let finish; so the pauses are long here, and no try meets the next version by chance."""
    async with EhrSimulator(free_port()) as ehr, start(ehrs=[_patient(ehr.url)]) as gateway:
        await ehr.refuse()
        [order] = ris.orders(15, 1)
        await ris.send("127.0.0.1", gateway.hl7_ports["ris"], [order.hl7()])
        [item] = await modality.query("127.0.0.1", gateway.dicom_port)
        for dataset in perform(item, series=1, instances=4):
            await modality.send("127.0.0.1", gateway.dicom_port, [dataset])
            waits = await tried(gateway)
        await ehr.listen()
        await gateway.store.write(lambda c: outbox_listing.replay(c, [waits], now=0))
        await quiet(gateway)
        [resource] = ehr.resources("ImagingStudy")
        assert resource["numberOfInstances"] == 4
        assert resource["meta"]["versionId"] == "1"


def _patient(url: str) -> Ehr:
    return Ehr(name="ehr0", url=url, retry=Retry(first_seconds=60, max_seconds=60))


async def tried(gateway: app.Running) -> WorkRow:
    """Wait until nothing is left but one delivery that waits for its next try; returns its id."""

    def waits_alone(rows: list[dict[str, Any]]) -> bool:
        return [(row["kind"], row["state"], row["attempts"]) for row in rows] == [("ehr:ehr0", "pending", 1)]

    active = partial(outbox_listing.listing, states=("pending", "leased"))
    [row] = await comes_true(lambda: gateway.store.read(active), waits_alone)
    return WorkRow(row["id"])


@sqlite
async def test_a_broken_ehr_does_not_hold_another(start: Start) -> None:
    async with EhrSimulator() as good, EhrSimulator() as bad, start(good.url, bad.url) as gateway:
        await bad.refuse()
        uids = await examine(gateway, seed=16, count=3)
        await until(lambda: study_uids(good.resources("ImagingStudy")) == sorted(uids), what="the good EHR's studies")
        assert bad.resources("ImagingStudy") == []


@sqlite
async def test_duplicates_of_another_writer_are_parked(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        [order] = ris.orders(17, 1)
        for _ in range(2):
            ehr.add(
                {
                    "resourceType": "ImagingStudy",
                    "status": "available",
                    "subject": {"display": "somebody"},
                    "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{order.study_uid}"}],
                }
            )
        await examine(gateway, seed=17, count=1)
        await quiet(gateway)
        [parked] = await gateway.store.read(lambda c: outbox_listing.listing(c, states=("parked",)))
        assert parked["outcome"]["duplicates"] == [one["id"] for one in ehr.resources("ImagingStudy")]
        assert "duplicates: remove" in parked["outcome"]["error"]


def test_says_the_same() -> None:
    ours = {"resourceType": "ImagingStudy", "identifier": [{"value": "1"}]}
    assert says_the_same(ours, {**ours, "id": "x", "meta": {"versionId": "3"}, "text": {"div": ""}})
    assert not says_the_same(ours, {**ours, "status": "available"})
    at, same, other = "2026-01-23T12:00:00.500+00:00", "2026-01-23T12:00:00.5Z", "2026-01-23T12:00:00.51Z"
    assert says_the_same({"started": at}, {"started": same})
    assert says_the_same({"started": "2026-01-23T12:00:00Z"}, {"started": "2026-01-23T12:00:00.000Z"})
    assert not says_the_same({"started": at}, {"started": other})
    assert not says_the_same({"a": "x"}, {"a": "y"})
    assert not says_the_same(ours, {"resourceType": "ImagingStudy", "identifier": [{"value": "1", "id": "7"}]})
    assert not says_the_same(ours, {"resourceType": "ImagingStudy", "identifier": []})


ROUNDS, LOAD = 3, 25
"""How often the gateway is stopped, and how many deliveries there are each time."""


async def test_a_stop_under_load_parks_nothing(start: Start) -> None:
    """Whatever moment it meets: an answer that has just come, a claim that is being committed."""
    async with EhrSimulator() as ehr:
        for round_ in range(ROUNDS):
            async with start(ehr.url) as gateway:
                await gateway.store.write(partial(_fill, first=round_ * LOAD))
                wanted = len(ehr.writes) + 10 + round_
                await until(lambda wanted=wanted: len(ehr.writes) >= wanted)  # type: ignore[misc]
        async with start(ehr.url) as gateway:
            await quiet(gateway)
            assert await gateway.store.read(partial(outbox_listing.listing, states=("parked", "rejected"))) == []
        assert study_uids(ehr.resources("ImagingStudy")) == sorted(f"1.2.{number}" for number in range(ROUNDS * LOAD))


def _fill(connection: Connection, *, first: int) -> None:
    for number in range(first, first + LOAD):
        uid = f"1.2.{number}"
        resource = {
            "resourceType": "ImagingStudy", "status": "available", "subject": {"display": "a made-up person"},
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
        }  # fmt: skip
        outbox.enqueue(
            connection,
            lane=Lane(delivery_to("ehr0"), StudyInstanceUID(uid)),
            payload={"resource": resource},
            due_at=1,
            now=1,
        )


@sqlite
async def test_an_ehr_that_takes_no_imaging_study_gets_a_link_to_a_viewer(
    start: Start, fhir_server: FhirServer
) -> None:
    site = Site(patient_id_issuer="HOSP", viewer_url="https://viewer.test/{study_uid}")
    ehr = Ehr(name="ehr0", url=fhir_server.url, resource="DocumentReference")
    async with start(site=site, ehrs=[ehr]) as gateway:
        await send(gateway, sample())
        await quiet(gateway)
        [first] = await fhir_server.resources("DocumentReference")
        order = orm(patient=f"{sample().PatientID}^^^HOSP", study_uid=str(sample().StudyInstanceUID))
        await outcomes(gateway, order)
        await quiet(gateway)
        [second] = await fhir_server.resources("DocumentReference")
        assert await fhir_server.resources("ImagingStudy") == []
    uid = str(sample().StudyInstanceUID)
    assert first["content"][0]["attachment"]["url"] == f"https://viewer.test/{uid}"
    assert first["masterIdentifier"]["value"] == f"urn:oid:{uid}"
    assert second["id"] == first["id"]
    assert [one["identifier"]["value"] for one in second["context"]["related"]] == ["ACC1"]
