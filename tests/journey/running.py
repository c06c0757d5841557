"""A gateway that runs inside the test, on free ports, against whatever EHR the test gives it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final

import pytest
from sqlalchemy import Connection, select

from gateway.assembly import process as app
from gateway.clock import now
from gateway.config.database import Database
from gateway.config.dicom import Dicom
from gateway.config.ehrs import Ehr
from gateway.config.hl7 import Hl7, Listener
from gateway.config.http import Http
from gateway.config.receiver import Retry
from gateway.config.site import Site
from gateway.config.studies import Studies
from gateway.config.tree import Config
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.work import SETTLE, Activity, Lane, WorkKind, WorkState
from gateway.store import heartbeats, outbox_listing
from gateway.store.outbox import postpone
from gateway.store.outbox_claims import ACTIVE_STATES, is_active
from gateway.store.schema import outbox
from gateway.store.statement import Statement

_WORK: Final = Statement(select(outbox.c.kind, outbox.c.state, outbox.c.due_at).where(is_active(outbox)))
_LATER: Final = {Activity.LINK: 0, Activity.VERIFY: 0, Activity.SETTLE: 10_000_000}
"""Of what may never come: work that falls due so many microseconds from now is waited for."""

Start = Callable[..., AbstractAsyncContextManager[app.Running]]
sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""The mark of a test that shows nothing more on PostgreSQL, which gets the same statements."""


UNHURRIED: Final = Studies(quiet_seconds=600)
"""Where versions are counted: a study settles when `quiet` waits for it, however long a busy machine takes between two
of its instances."""
_LONG_MICROS: Final = 300_000_000
"""What is quiet so late waits for `quiet`."""
_SETTLING: Final = Statement(
    select(outbox.c.subject, outbox.c.payload).where(
        outbox.c.kind == str(SETTLE), outbox.c.state == WorkState.PENDING.value
    )
)


def config_of(database_url: str, *ehr_urls: str, **sections: Any) -> Config:
    """A configuration for tests: everything on port 0, a short quiet time, fast retries."""
    ehrs = [
        Ehr(name=f"ehr{number}", url=url, timeout_seconds=60, retry=Retry(first_seconds=0.1, max_seconds=0.5))
        for number, url in enumerate(ehr_urls)
    ]
    defaults: dict[str, Any] = {
        "site": Site(name="Test site", patient_id_issuer="HOSP", identifier_systems={"HOSP": "urn:oid:2.25.1"}),
        "database": Database(url=database_url, answer_seconds=120),
        "hl7": Hl7(listeners=[Listener(port=0, conformance="off")]),
        "dicom": Dicom(port=0),
        "studies": Studies(quiet_seconds=0.3),
        "ehrs": ehrs,
        "http": Http(port=0),
    }
    return Config(**(defaults | sections))


@pytest.fixture
def start(database_url: str) -> Start:
    """`async with start(ehr_url, ...) as gateway`: a running gateway on `database_url`."""

    @asynccontextmanager
    async def begin(*ehr_urls: str, **sections: Any) -> AsyncIterator[app.Running]:
        async with app.running(config_of(database_url, *ehr_urls, **sections)) as gateway:
            yield gateway

    return begin


def _unhurried(connection: Connection) -> list[StudyInstanceUID]:
    """Studies of which no instance has come for long enough only in minutes."""
    late = now() + _LONG_MICROS
    return [
        StudyInstanceUID(row["subject"])
        for row in _SETTLING.rows(connection, {})
        if heartbeats.shown(connection, int(row["payload"].get("quiet_at", 0))) > late
    ]


def _work_waits(connection: Connection) -> bool:
    if _unhurried(connection):
        return True
    for row in _WORK.rows(connection, {}):
        later = _LATER.get(WorkKind.of(row["kind"]).activity)
        if later is None or row["state"] == WorkState.LEASED.value:
            return True
        if heartbeats.shown(connection, row["due_at"]) <= now() + later:
            return True
    return False


def _let_settle(connection: Connection) -> None:
    """Let no instance of these studies have come for long enough."""
    moment = now()
    payload = {"quiet_at": heartbeats.steady_of(connection, moment, now=moment)}
    for uid in _unhurried(connection):
        postpone(connection, Lane(SETTLE, uid), due_at=moment, now=moment, payload=payload)


async def quiet(gateway: app.Running, *, seconds: float = 120.0) -> None:
    """Wait until no work is waiting or under way; fail when there still is after `seconds`.

    A look at an EHR that is due later is not waited for, nor is a study that waits for instances that were named: what
    they wait for may never come. A study that is `UNHURRIED` settles now.
    """
    end = time.monotonic() + seconds
    while await gateway.store.read(_work_waits):
        if await gateway.store.read(_unhurried):
            await gateway.store.write(_let_settle)
        if time.monotonic() > end:
            rows = await gateway.store.read(partial(outbox_listing.listing, states=ACTIVE_STATES))
            pytest.fail(f"still waiting after {seconds} s: {rows}")
        await asyncio.sleep(0.02)
