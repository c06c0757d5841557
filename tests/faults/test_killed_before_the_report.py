"""kill -9 behind the Success of requests for storage commitment, while the modality is off: each is reported, once.

On PostgreSQL two gateways share the work, and each is killed in turn.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pydicom

from bench.ports import free_port
from gateway.wire.dimse import client
from tests.conftest import until
from tests.faults.whole_gateway import WholeGateway, running
from tests.journey.test_image_forwarding import instances
from tests.journey.test_storage_commitment import refs, uids
from tests.peers.pynetdicom_commitment import ask, asking, reports_at, wanted
from tests.peers.pynetdicom_store import storage_scp

ROUNDS: Final = 4
REQUESTS: Final = 10


def settings(spool: Path, archive: int, modality: int) -> dict[str, Any]:
    shared = {"timeout_seconds": 60, "retry": {"first_seconds": 0.2, "max_seconds": 0.5}}
    destinations = [
        {"name": "pacs", "ae_title": "ARCHIVE", "port": archive, "store": True, **shared},
        {"name": "ct1", "ae_title": "CT1", "port": modality, "commitment_reports": True, **shared},
    ]
    studies = {"storage": "forward", "quiet_seconds": 0.3, "spool": {"folder": str(spool), "free_gb": 0}}
    return {"dicom": {"destinations": destinations}, "studies": studies}


def asked(gateway: WholeGateway, requests: list[pydicom.Dataset]) -> None:
    with asking(gateway.dicom) as association:
        assert {ask(association, one) for one in requests} == {0}


async def test_each_request_is_reported_once(database_url: str, tmp_path: Path) -> None:
    port, number = free_port(), 2 if database_url.startswith("postgresql") else 1
    requests: list[pydicom.Dataset] = []
    with storage_scp() as archive:
        configured = settings(tmp_path / "spool", archive.port, port)
        async with AsyncExitStack() as stack:
            gateways = [
                await stack.enter_async_context(running(tmp_path / str(one), database_url, configured))
                for one in range(number)
            ]
            sent = await client.store(
                "127.0.0.1", gateways[0].dicom, instances(5), called_ae="GATEWAY", calling_ae="CT1", timeout=120
            )
            assert {status for _, status in sent} == {0}
            for turn in range(ROUNDS):
                some = [wanted(refs(1 + one % 5)) for one in range(REQUESTS)]
                await asyncio.to_thread(asked, gateways[turn % number], some)
                await gateways[turn % number].kill()
                requests += some
                await gateways[turn % number].start()
            with reports_at(port) as reports:
                await until(lambda: len(reports.came) >= len(requests), seconds=120, what="the last report")
    for position, one in enumerate(requests):
        committed = uids(1 + position % REQUESTS % 5)
        assert reports.of(one.TransactionUID) == [{"event": 1, "committed": committed, "failed": {}}]
    print(f"\n{len(reports.came)} reports of {len(requests)} requests, after {ROUNDS} kills of {number} gateways")
