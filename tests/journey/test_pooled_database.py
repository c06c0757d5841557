"""Two gateways whose PostgreSQL stands behind PgBouncer with fewer sessions than they have connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import aiohttp
from sqlalchemy import func, select

from gateway.assembly import process as app
from gateway.clock import now
from gateway.errors import Unavailable
from gateway.operations.retention_preview import preview
from gateway.records.retention import Ages, RetentionKind
from gateway.simulators import modality
from gateway.simulators.ehr import EhrSimulator
from gateway.store.schema import orders
from gateway.wire.hl7.mllp_client import MllpClient
from tests.conftest import comes_true
from tests.journey.messages import apart, orm
from tests.journey.modality import begin, end, modality_of
from tests.journey.running import config_of, quiet
from tests.journey.test_study_findings import image
from tests.peers.pgbouncer import PgBouncer, pgbouncer

PAGES: Final = ("/", "/health/ready", "/studies", "/system", "/api/state", "/metrics")
ORDERS: Final = [orm(), *(apart(orm(), number) for number in range(1, 8))]
IMAGES: Final = [
    image("1.2.3.4.5", number, AccessionNumber="ACC1", PatientID="PAT1", PatientName="MUSTER^MAX") for number in "12"
]
YEAR: Final = 365 * 86_400_000_000


@asynccontextmanager
async def pooled(url: str, ehr: str) -> AsyncIterator[tuple[PgBouncer, list[app.Running]]]:
    async with AsyncExitStack() as stack:
        peer = stack.enter_context(pgbouncer(url, pool_size=2))
        yield peer, [await stack.enter_async_context(app.running(config_of(peer.url, ehr))) for _ in range(2)]


async def accepted(gateway: app.Running, order: bytes) -> bool:
    """Whether an order is answered AA."""
    try:
        async with MllpClient("127.0.0.1", gateway.hl7_ports["ris"]) as ris:
            return b"MSA|AA|" in await ris.send(order)
    except Unavailable:
        return False


async def test_the_journey_and_its_pages(shared_postgres: str) -> None:
    async with EhrSimulator() as ehr, pooled(shared_postgres, ehr.url) as (peer, (one, other)):
        for number, order in enumerate(ORDERS):
            assert await accepted(one if number % 2 else other, order)
        assert len(await modality.query("127.0.0.1", other.dicom_port)) == 8
        scanner = modality_of(one)
        assert (await scanner.create(begin(), "2.25.77")).status == 0
        assert (await modality_of(other).set(end(), "2.25.77")).status == 0
        assert await modality.send("127.0.0.1", other.dicom_port, IMAGES) == 2
        await quiet(one)
        assert ehr.resources("ImagingStudy")
        await preview(one.store, Ages(dict.fromkeys(RetentionKind, 1)), now() + YEAR)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{other.http_port}") as session:
            for path in PAGES:
                async with session.get(path) as answer:
                    assert answer.status == 200, path
        peer.kill()
        last = apart(orm(), 9)
        assert not await accepted(one, last)
        peer.start()
        for gateway in (one, other):
            await comes_true(lambda gateway=gateway: accepted(gateway, last))  # type: ignore[misc]
        assert await one.store.read(lambda connection: connection.scalar(select(func.count()).select_from(orders))) == 9
