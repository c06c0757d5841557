"""A gateway that asks people for a login: users, API tokens, legal holds, a run of retention, examinations that went to
the EHR, and an audit repository that is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession

from bench.ports import free_port
from gateway.clock import now
from gateway.operations import hold
from gateway.operations.people import tokens
from gateway.operations.retention import RetentionRun
from gateway.records.legal_hold import HoldOn, LegalHold
from gateway.records.person import Role
from gateway.records.retention import Ages, RetentionKind
from gateway.simulators import modality, ris
from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.studies import perform
from gateway.store import Store
from tests.browser.busy import BusyGateway
from tests.conftest import comes_true, until
from tests.faults.whole_gateway import running
from tests.web.browsing import OWNER, add_user

ORDERS: Final = 12
EXAMINED: Final = 6
YEAR: Final = 365 * 86_400_000_000
USERS: Final = {
    "ada": Role.ADMIN, "otto": Role.OPERATOR, "vera": Role.VIEWER, "dr.wilhelmina.von-und-zu": Role.VIEWER,
}  # fmt: skip
LONG: Final = "the court of the district asked for all that concerns this examination, see the letter in the file"


@asynccontextmanager
async def staffed_in(folder: Path) -> AsyncIterator[BusyGateway]:
    """Such a gateway."""
    url = f"sqlite:///{folder}/gateway.db"
    async with EhrSimulator() as ehr, running(folder, url, _settings(ehr.url)) as gateway:
        staffed = BusyGateway(gateway, ehr, url)
        await _examine(staffed)
        store = await Store.open(url)
        try:
            await until(lambda: len(ehr.resources("ImagingStudy")) >= EXAMINED, what="the studies at the EHR")
            await _staff(store)
            # As if two years had passed, of which no row is old enough but those of queries.
            run = RetentionRun(store, Ages({RetentionKind.QUERIES: 1}), lambda: now() + 2 * YEAR)
            await run.run()
        finally:
            await store.close()
        await _asks(staffed)
        yield staffed


async def _asks(staffed: BusyGateway) -> None:
    """Wait until the gateway has noticed the users, whom another process made."""
    async with ClientSession() as session:
        await comes_true(lambda: session.get(f"{staffed.base}/api/tokens"), lambda answer: answer.status == 401)


def _settings(ehr_url: str) -> dict[str, Any]:
    return {
        "site": {"name": "General Hospital", "timezone": "Europe/Berlin", "patient_id_issuer": "RIS"},
        "studies": {"quiet_seconds": 0.5},
        "ehrs": [{"name": "main", "url": ehr_url}],
        "retention": {"queries_days": 365, "messages_days": 3650, "hours": "01:00-04:00"},
        "audit": {"repositories": [{"name": "siem", "host": "localhost", "port": free_port()}]},
    }


async def _examine(staffed: BusyGateway) -> None:
    await ris.send("127.0.0.1", staffed.gateway.hl7, [order.hl7() for order in ris.orders(7, ORDERS)])
    items = await modality.query("127.0.0.1", staffed.gateway.dicom, calling_ae="CT1")
    datasets = [one for item in items[:EXAMINED] for one in perform(item, series=1, instances=2)]
    await modality.send("127.0.0.1", staffed.gateway.dicom, datasets, calling_ae="CT1")


async def _staff(store: Store) -> None:
    for name, role in USERS.items():
        await add_user(store, name, role, now=now())
    for token, of, scanner, days in (("monitoring", Role.VIEWER, "", None), ("ct1", None, "CT1", 90.0)):
        make = partial(tokens.make, name=token, role=of, scanner=scanner, days=days, person=OWNER, now=now())
        await store.write(make)
    decision = hold.HoldDecision("ada", LONG, now(), "admin")
    await store.write(partial(hold.hold, wanted=LegalHold(HoldOn.PATIENT, "P000700003", "RIS"), decision=decision))
    released = LegalHold(HoldOn.ACCESSION, "00007000003")
    await store.write(partial(hold.hold, wanted=released, decision=decision))
    await store.write(partial(hold.release, wanted=released, decision=decision))
