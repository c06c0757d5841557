"""Nothing old is written over something new: a node that was away longer than its lease, a write that comes late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from sqlalchemy import select

from gateway.assembly.deliveries import kinds_of_work
from gateway.assembly.ehrs import client_of
from gateway.assembly.mappings import load_mappings
from gateway.assembly.studies import study_settling
from gateway.config.ehrs import Ehr
from gateway.config.receiver import Retry
from gateway.config.tree import Config
from gateway.records.delivery import Delivery
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.work import Lane, delivery_to
from gateway.store import Store, outbox
from gateway.store.schema import outbox as table
from gateway.wire.fhir.capability import Way
from gateway.wire.fhir.validation import faults_of
from gateway.work.worker import Worker
from tests.conftest import Time, comes_true, until
from tests.journey.running import config_of
from tests.peers.fhir_server import FhirServer
from tests.peers.holding_proxy import Moment, holding

LEASE_SECONDS: Final = 60
PATIENT_SECONDS: Final = 600.0
"""How long a paused node's requests may take, so that the test holds them and no timeout ends them."""
PAUSES: Final[dict[str, tuple[str, Moment]]] = {
    "1.2.1": ("write", "before"), "1.2.2": ("write", "after"),
    "1.2.3": ("read", "before"), "1.2.4": ("read", "after"), "1.2.5": ("write", "before"), "1.2.6": ("write", "after"),
}  # fmt: skip
"""Study -> the request, and its side, at which the node that has the second version is paused."""
NEW: Final = ("1.2.1", "1.2.2")
"""Studies that the EHR does not hold yet when that happens."""


def study(uid: str, description: str) -> dict[str, Any]:
    return {
        "resourceType": "ImagingStudy",
        "status": "available",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
        "subject": {"display": "a made-up person"},
        "description": description,
    }


def config_for(url: str, way: Way, timeout: float = PATIENT_SECONDS) -> Config:
    ehr = Ehr(
        name="main", url=url, write=way.value, timeout_seconds=timeout,
        retry=Retry(first_seconds=0.1, max_seconds=0.5), concurrency=len(PAUSES),
    )  # fmt: skip
    return config_of("sqlite:///unused.db", ehrs=[ehr])


@asynccontextmanager
async def node(store: Store, config: Config, clock: Time) -> AsyncIterator[None]:
    """A worker of a gateway of its own, with its own clock, on the common database."""
    [ehr] = config.ehrs
    async with client_of(ehr) as client:
        mappings = load_mappings(config)
        station = study_settling(config, store, mappings, clock)
        worker = Worker(store, kinds_of_work(config, store, mappings, {"main": client}, station, clock), clock)
        task = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            done = task.done()
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            assert not done, outcome


async def deliver(store: Store, uid: str, description: str, now: int) -> None:
    delivery = Delivery(study(uid, description), f"{uid} {description}".encode().hex(), "")
    lane = Lane(delivery_to("main"), StudyInstanceUID(uid))
    await store.write(lambda connection: outbox.deliver(connection, lane, delivery, now=now))


async def nothing_waits(store: Store, now: int) -> None:
    """Wait until nothing is under way or due by `now`."""
    waiting = select(table.c.id).where(table.c.state.in_(["pending", "leased"]), table.c.due_at <= now).limit(1)
    await comes_true(
        lambda: store.read(lambda connection: connection.execute(waiting).first()), lambda row: row is None
    )


async def looked_at_later(store: Store, config: Config, clock: Time) -> None:
    """Let the time pass in which the EHR is asked once more."""
    for _ in range(3):
        clock.pass_seconds(12 * PATIENT_SECONDS)
        async with node(store, config, clock):
            await nothing_waits(store, clock.now)


async def assert_each_is(server: FhirServer, description: str, uids: Sequence[str]) -> None:
    held = await server.resources("ImagingStudy")
    assert sorted((one["identifier"][0]["value"], one["description"]) for one in held) == [
        (f"urn:oid:{uid}", description) for uid in uids
    ]
    for one in held:
        assert faults_of({key: value for key, value in one.items() if key != "meta"}, "R4") == []


def ids_of(resources: list[dict[str, Any]]) -> dict[str, str]:
    """Study -> its id."""
    return {one["identifier"][0]["value"].removeprefix("urn:oid:"): one["id"] for one in resources}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("way", Way)
async def test_a_node_that_wakes_writes_nothing_old(
    store: Store, fhir_server: FhirServer, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    """It was paused before it read, between read and write, before its write came through, or before the answer;
    another has delivered what came after it. Two workers, each with its clock, are two nodes to the rows of a database.
    """
    early, late, known = Time(), Time(), dict[str, str]()

    def moment_of(method: str, target: str, body: str) -> Moment:
        for uid, (request, moment) in PAUSES.items():
            is_read = method == "GET" and known.get(uid, "-") in target
            is_write = f'"urn:oid:{uid}"' in body and '"second"' in body
            if is_read if request == "read" else is_write:
                return moment
        return ""

    async with holding(fhir_server.url, moment_of) as proxy:
        paused, other = config_for(proxy.url, way), config_for(fhir_server.url, way)
        for uid in PAUSES.keys() - set(NEW):
            await deliver(store, uid, "first", early.now)
        async with node(store, other, late):
            await nothing_waits(store, late.now)
        known |= ids_of(await fhir_server.resources("ImagingStudy"))
        for uid in PAUSES:
            await deliver(store, uid, "second", early.now)
        async with node(store, paused, early):
            await until(lambda: len(proxy.held) == len(PAUSES), what="the pause of each delivery")
            late.pass_seconds(LEASE_SECONDS + 1)
            async with node(store, other, late):
                await nothing_waits(store, early.now)
                for uid in PAUSES:
                    await deliver(store, uid, "third", late.now)
                await nothing_waits(store, late.now)
            proxy.let_go.set()
            await until(lambda: caplog.text.count("before it was done here") == len(PAUSES), what="the end of each")
    await looked_at_later(store, other, late)
    await assert_each_is(fhir_server, "third", list(PAUSES))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("way", Way)
async def test_a_first_write_that_comes_late_is_mended(store: Store, fhir_server: FhirServer, way: Way) -> None:
    """A proxy holds it until the write has been made again, and a later version has been delivered."""
    clock, writes = Time(), list[str]()

    def moment_of(method: str, target: str, body: str) -> Moment:
        if method == "GET":
            return ""
        writes.append(target)
        return "before" if len(writes) == 1 else ""

    async with holding(fhir_server.url, moment_of) as proxy:
        config = config_for(proxy.url, way, 0.5)
        await deliver(store, "1.2.1", "first", clock.now)
        async with node(store, config, clock):
            await tried_again(store, clock, lambda waiting: proxy.held)
            await tried_again(store, clock, lambda waiting: not waiting)
            await deliver(store, "1.2.1", "second", clock.now)
            await tried_again(store, clock, lambda waiting: not waiting)
            before = await fhir_server.resources("ImagingStudy")
            proxy.let_go.set()
            await until(lambda: proxy.passed, what="the late write")
        late = await fhir_server.resources("ImagingStudy")
        await looked_at_later(store, config, clock)
    assert [one["description"] for one in before] == ["second"]
    if way is not Way.CONDITIONAL_CREATE:
        assert late != before, "it has come through"
    await assert_each_is(fhir_server, "second", ["1.2.1"])
    assert len(await fhir_server.resources("ImagingStudy")) == 1


_DELIVERIES: Final = select(table.c.state, table.c.due_at).where(
    table.c.kind == str(delivery_to("main")), table.c.state.in_(["pending", "leased"])
)


async def tried_again(store: Store, clock: Time, condition: Callable[[Sequence[Any]], object]) -> None:
    """Wait until a condition holds of the deliveries that wait or are under way; the clock goes on to the next try when
    none is under way. The one request that is held meets its time limit, and on a busy machine others may."""

    async def waiting() -> Sequence[Any]:
        found = await store.read(lambda connection: connection.execute(_DELIVERIES).all())
        if found and not condition(found) and all(one.state == "pending" for one in found):
            clock.now = max(clock.now, min(one.due_at for one in found))
        return found

    await comes_true(waiting, condition)
