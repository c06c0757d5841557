"""A node that stands still for longer than its lease, in the middle of its deliveries, and then goes on."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from sqlalchemy import select, update

from gateway.clock import now
from gateway.store import Store
from gateway.store.schema import outbox as table
from gateway.wire.fhir.capability import Way
from tests.conftest import until
from tests.faults.whole_gateway import WholeGateway, running
from tests.journey.test_stale_writes import deliver, ids_of
from tests.peers.faketime import MovedClock
from tests.peers.fhir_server import FhirServer
from tests.peers.holding_proxy import Moment, holding

STUDIES: Final = int(os.environ.get("FROZEN_STUDIES", "40"))
PAUSES: Final[tuple[tuple[bool, str, Moment], ...]] = (
    (True, "write", "before"), (True, "write", "after"), (False, "read", "before"), (False, "read", "after"),
    (False, "write", "before"), (False, "write", "after"),
)  # fmt: skip
"""Whether the EHR does not hold the study yet, the request, and its side, at which a delivery stands when the node
stops."""
UIDS: Final = [f"1.2.3.{number}" for number in range(STUDIES)]
PAUSE_OF: Final = {uid: PAUSES[number % len(PAUSES)] for number, uid in enumerate(UIDS)}
PATIENT_SECONDS: Final = 600
_WAITS: Final = table.c.state.in_(["pending", "leased"])
_IS_LATER_LOOK: Final = table.c.kind == "verify:main"


def _settings(url: str, way: Way) -> dict[str, Any]:
    ehr = {
        "name": "main", "url": url, "write": way.value, "timeout_seconds": PATIENT_SECONDS, "concurrency": STUDIES,
        "retry": {"first_seconds": 0.2, "max_seconds": 1},
    }  # fmt: skip
    return {"site": {"name": "Test site"}, "ehrs": [ehr]}


async def _delivered(store: Store) -> None:
    """Wait until no delivery waits: as long as a lease lasts, and for what comes after it."""
    waiting = select(table.c.id).where(_WAITS, ~_IS_LATER_LOOK).limit(1)
    async with asyncio.timeout(PATIENT_SECONDS):
        while await store.read(lambda connection: connection.execute(waiting).first()):
            await asyncio.sleep(0.1)


async def _looked_at_later(store: Store) -> None:
    """Let what is due later be due now, until nothing is."""
    waiting = select(table.c.id).where(_WAITS).limit(1)
    async with asyncio.timeout(PATIENT_SECONDS):
        while await store.read(lambda connection: connection.execute(waiting).first()):
            due = update(table).where(_IS_LATER_LOOK, table.c.state == "pending").values(due_at=now())
            await store.write(lambda connection, due=due: connection.execute(due))  # type: ignore[misc]
            await asyncio.sleep(0.5)


async def _gave_up(gateway: WholeGateway) -> None:
    """Wait until a gateway has left each delivery to whoever has it."""
    counted = re.compile(r'gateway_outbox_tries_total{kind="ehr:main",outcome="lost"} (\d+)')
    async with asyncio.timeout(PATIENT_SECONDS), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://127.0.0.1:{gateway.http}/metrics") as answer:
                found = counted.search(await answer.text())
            if found is not None and int(found[1]) >= STUDIES:
                return
            await asyncio.sleep(0.2)


class Pause:
    """What holds a node: SIGSTOP; with `clock` its wall clock stands from then on, as if no time had passed."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.clock = MovedClock(folder) if kind != "SIGSTOP" else None

    @property
    def environment(self) -> dict[str, str]:
        return {} if self.clock is None else self.clock.environment

    def begin(self, gateway: WholeGateway) -> None:
        if self.clock is not None:
            self.clock.stop(f"{datetime.now():%Y-%m-%d %H:%M:%S}")  # noqa: DTZ005 (libfaketime reads local time)
        gateway.pause()

    def end(self, gateway: WholeGateway) -> None:
        gateway.resume()


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Store]:
    store = await Store.open(url)
    yield store
    await store.close()


@pytest.mark.parametrize("kind", ["SIGSTOP", "SIGSTOP and clock"])
@pytest.mark.parametrize("way", Way)
async def test_the_ehr_ends_with_the_latest_version(
    tmp_path: Path, shared_postgres: str, fhir_server: FhirServer, way: Way, kind: str
) -> None:
    """Two gateways on one database; the second delivers what the first has in hand, and something newer after it. Then
    the first goes on, and whatever it had under way comes through."""
    known: dict[str, str] = {}

    def moment_of(method: str, target: str, body: str) -> Moment:
        for uid, (_, request, moment) in PAUSE_OF.items():
            is_read = method == "GET" and known.get(uid, "-") in target
            is_write = f'"urn:oid:{uid}"' in body and '"second"' in body
            if is_read if request == "read" else is_write:
                return moment
        return ""

    pause = Pause(kind, tmp_path)
    async with (
        _opened(shared_postgres) as store,
        holding(fhir_server.url, moment_of) as proxy,
        running(tmp_path / "other", shared_postgres, _settings(fhir_server.url, way)) as other,
    ):
        for uid in (uid for uid, (is_new, _, _) in PAUSE_OF.items() if not is_new):
            await deliver(store, uid, "first", now())
        await _delivered(store)
        known |= ids_of(await fhir_server.resources("ImagingStudy"))
        other.pause()
        settings = _settings(proxy.url, way)
        async with running(tmp_path / "frozen", shared_postgres, settings, pause.environment) as frozen:
            for uid in UIDS:
                await deliver(store, uid, "second", now())
            await until(lambda: len(proxy.held) == STUDIES, seconds=PATIENT_SECONDS, what="the pause of each delivery")
            pause.begin(frozen)
            other.resume()
            await _delivered(store)
            for uid in UIDS:
                await deliver(store, uid, "third", now())
            await _delivered(store)
            pause.end(frozen)
            proxy.let_go.set()
            await until(
                lambda: len(proxy.passed) == STUDIES, seconds=PATIENT_SECONDS, what="the requests that were under way"
            )
            await _gave_up(frozen)
            came_late = await fhir_server.resources("ImagingStudy")
        await _looked_at_later(store)
    _report(f"{kind}, {way}, when it went on", came_late)
    stale, doubled = _report(f"{kind}, {way}, at the end", await fhir_server.resources("ImagingStudy"))
    assert (stale, doubled) == (0, 0)


def _report(moment: str, held: list[dict[str, Any]]) -> tuple[int, int]:
    """How many studies are not as they were last, and how many are there twice."""
    counted = Counter(one["identifier"][0]["value"] for one in held)
    latest = Counter(one["identifier"][0]["value"] for one in held if one["description"] == "third")
    stale = sum(latest[f"urn:oid:{uid}"] == 0 for uid in UIDS)
    doubled = sum(number > 1 for number in counted.values())
    sys.stdout.write(f"\n{moment}: {stale} of {STUDIES} stale, {doubled} there twice\n")
    return stale, doubled
