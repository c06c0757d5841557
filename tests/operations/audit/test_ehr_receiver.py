"""An EHR that takes the trail holds each event once; what it refuses is skipped, and what it cannot take now waits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from bench.ports import free_port
from gateway.clock import now
from gateway.errors import NeedsPerson
from gateway.operations.audit import shipping
from gateway.operations.audit.dicom_message import AuditSource
from gateway.operations.audit.ehr_receiver import MOST_TRIES, EhrReceiver
from gateway.operations.audit.shipping import AuditShipping, ShippingSetup
from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.ehr_answers import Manners, failure_answer
from gateway.simulators.manners_file import Rule, Script
from gateway.store import Store, audit, audit_positions
from gateway.store.audit_positions import Position
from gateway.wire.fhir import FhirClient
from gateway.wire.oauth.authorization import Anonymous, Authorization
from tests.conftest import comes_true, until
from tests.operations.audit.events import EVENTS
from tests.operations.audit.test_shipping import happen
from tests.peers.fhir_server import FhirServer
from tests.store.test_audit import recorded

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What goes over the wire does not depend on the database."""
NAME = "ehr:ehr"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(shipping, "LONGEST_PAUSE_SECONDS", 0.05)


@asynccontextmanager
async def shipped(
    store: Store, url: str, most_waiting: int = 1000, login: Authorization | None = None
) -> AsyncIterator[None]:  # fmt: skip
    async with FhirClient(url, timeout_seconds=60, authorization=login) as client:
        receiver = EhrReceiver(client, AuditSource("Test site", "gateway1"), now, at_once=2)
        task = asyncio.create_task(AuditShipping(store, ShippingSetup(NAME, most_waiting), receiver, now).run())
        try:
            await eventually(store, lambda one: True, "the position of the EHR")
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


async def eventually(store: Store, condition: Callable[[Position], object], what: str) -> Position:
    """Wait until `condition` holds of the position of the EHR."""
    positions = await comes_true(
        lambda: store.read(audit_positions.positions), lambda found: NAME in found and condition(found[NAME])
    )
    position: Position = positions[NAME]
    return position


def studies_of(resources: list[dict[str, Any]]) -> Counter[str]:
    """The studies that AuditEvents name; in these tests each event has one of its own, but for that of a gap."""
    return Counter(
        entity["what"]["identifier"]["value"]
        for resource in resources
        for entity in resource.get("entity", [])
        if str(entity["what"]["identifier"]["value"]).startswith("urn:oid:")
    )


def studies(first: int, last: int) -> Counter[str]:
    return Counter(f"urn:oid:1.2.{number}" for number in range(first, last + 1))


async def test_each_event_is_created_once(store: Store) -> None:
    async with EhrSimulator() as ehr:
        await happen(store, 1, 2)
        async with shipped(store, ehr.url):
            await happen(store, 3, 30)
            position = await eventually(store, lambda one: one.sequence == 30, "all events")
        assert studies_of(ehr.resources("AuditEvent")) == studies(3, 30)
        assert (position.skipped, position.away_since) == (0, None)
        assert {write.method for write in ehr.writes} == {"POST"}
    assert (await store.read(audit.head)).sequence == 30, "sending is no event"


@sqlite
async def test_what_is_sent_is_valid_there(store: Store) -> None:
    async with EhrSimulator() as ehr, shipped(store, ehr.url):
        await store.write(recorded(*EVENTS))
        await store.write(audit.seal)
        position = await eventually(store, lambda one: one.sequence == len(EVENTS), "an event of each kind")
        assert (position.skipped, len(ehr.resources("AuditEvent"))) == (0, len(EVENTS))


@sqlite
async def test_a_foreign_server_takes_each_kind_of_event(store: Store, fhir_server: FhirServer) -> None:
    async with shipped(store, fhir_server.url):
        await store.write(recorded(*EVENTS))
        await store.write(audit.seal)
        position = await eventually(store, lambda one: one.sequence == len(EVENTS), "an event of each kind")
    assert position.skipped == 0
    held = await fhir_server.resources("AuditEvent")
    types = Counter(one["type"]["code"] for one in held)
    assert types.total() == len(EVENTS)
    assert types["rest"] == 1


@sqlite
async def test_an_event_that_is_refused_is_skipped_and_counted(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    refusal = Rule(method=["POST"], path="AuditEvent", do="answer", status=422, text="of the patient P", times=2)
    async with EhrSimulator(script=Script(rules=[refusal])) as ehr, shipped(store, ehr.url):
        await happen(store, 1, 9)
        position = await eventually(store, lambda one: one.sequence == 9, "the rest")
        assert (position.skipped, position.away_since) == (2, None)
        assert studies_of(ehr.resources("AuditEvent")).total() == 7
        assert ehr.requests["POST", 422] == 2, "it was asked once for each"
        # The line is written after the position, which the test reads from the database.
        await until(lambda: "refused" in caplog.text, what="the line about what was refused")
    assert (await store.read(audit.head)).sequence == 9, "that is no event"
    lines = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert lines == ["audit repository ehr:ehr has refused 2 events, which it is not sent again"]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
@sqlite
async def test_what_says_nothing_of_the_event_lets_it_wait(store: Store, status: int) -> None:
    async with EhrSimulator() as ehr, shipped(store, ehr.url):
        ehr.manners = Manners(fail_next=1_000_000, status=status)
        await happen(store, 1, 7)
        away = await eventually(store, lambda one: one.reason, "the outage")
        ehr.manners = Manners()
        assert away.away_since is not None
        assert away.reason.startswith(f"HTTP {status}")
        await eventually(store, lambda one: one.sequence == 7, "the rest")
        assert studies_of(ehr.resources("AuditEvent")) == studies(1, 7)


class Withheld(Anonymous):
    """A login that the token endpoint refuses at first."""

    is_refused = True

    async def headers(self) -> Mapping[str, str]:
        if self.is_refused:
            raise NeedsPerson("no token: HTTP 400 invalid_client", place="POST http://ehr.test/token")
        return await super().headers()


@sqlite
async def test_without_a_login_events_wait(store: Store) -> None:
    login = Withheld()
    async with EhrSimulator() as ehr, shipped(store, ehr.url, login=login):
        await happen(store, 1, 3)
        away = await eventually(store, lambda one: one.away_since, "the outage")
        login.is_refused = False
        assert away.reason.startswith("no token: HTTP 400 invalid_client")
        position = await eventually(store, lambda one: one.sequence == 3, "all events")
        assert position.skipped == 0
        assert studies_of(ehr.resources("AuditEvent")) == studies(1, 3)


@sqlite
async def test_what_waits_is_sent_when_the_ehr_is_back(store: Store) -> None:
    async with EhrSimulator(free_port()) as ehr, shipped(store, ehr.url):
        await ehr.refuse()
        await happen(store, 1, 25)
        await eventually(store, lambda one: one.away_since, "the outage")
        await ehr.listen()
        position = await eventually(store, lambda one: one.sequence == 25, "all events")
        assert (position.away_since, position.skipped) == (None, 0)
        assert studies_of(ehr.resources("AuditEvent")) == studies(1, 25)


@sqlite
async def test_of_too_many_the_oldest_are_skipped(store: Store) -> None:
    async with EhrSimulator(free_port()) as ehr, shipped(store, ehr.url, most_waiting=5):
        await ehr.refuse()
        await happen(store, 1, 12)
        await eventually(store, lambda one: one.away_since, "the outage")
        await ehr.listen()
        await until(lambda: studies_of(ehr.resources("AuditEvent")) == studies(9, 12), what="the newest")
        assert (await eventually(store, lambda one: one.sequence == 13, "the end")).skipped == 8


@sqlite
async def test_a_lost_answer_makes_one_event_double_and_no_other(store: Store) -> None:
    async with EhrSimulator() as ehr, shipped(store, ehr.url):
        ehr.manners = Manners(drop_next=1)
        await happen(store, 1, 9)
        await eventually(store, lambda one: one.sequence == 9, "all events")
        held = studies_of(ehr.resources("AuditEvent"))
        assert set(held) == set(studies(1, 9))
        assert held.total() == 10


class FailingEhr(EhrSimulator):
    """Fails at one event, whatever else it takes."""

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if b'"urn:oid:1.2.2"' in await request.read():
            return failure_answer(Manners(status=500))
        return await super()._create(request)


@sqlite
async def test_an_event_that_the_ehr_fails_at_does_not_stop_the_rest(store: Store) -> None:
    async with FailingEhr() as ehr, shipped(store, ehr.url):
        await happen(store, 1, 26)
        position = await eventually(store, lambda one: one.sequence == 26, "the rest")
        assert position.skipped == 1
        assert studies_of(ehr.resources("AuditEvent")) == studies(1, 26) - studies(2, 2)


@sqlite
async def test_an_ehr_that_fails_at_all_loses_nothing(store: Store) -> None:
    async with EhrSimulator() as ehr, shipped(store, ehr.url):
        ehr.manners = Manners(fail_next=1_000_000, status=500)
        await happen(store, 1, 9)
        await eventually(store, lambda one: one.away_since, "the outage")
        await until(lambda: ehr.requests["POST", 500] >= 20 * MOST_TRIES, what="more failures than an event may have")
        ehr.manners = Manners()
        position = await eventually(store, lambda one: one.sequence == 9, "the rest")
        assert position.skipped == 0
        assert studies_of(ehr.resources("AuditEvent")) == studies(1, 9)
