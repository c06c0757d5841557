"""A wall clock that jumps while the gateway works."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from gateway.simulators import ris
from gateway.wire.hl7.mllp_client import MllpClient
from gateway.wire.hl7.parsing import parse
from tests.faults.whole_gateway import running
from tests.peers.faketime import MovedClock

DAY = 86_400


async def test_orders_are_taken_before_and_after_a_jump(tmp_path: Path, database_url: str) -> None:
    clock = MovedClock(tmp_path)
    async with running(tmp_path / "gateway", database_url, environment=clock.environment) as gateway:
        for ahead, order in zip((0, DAY, -DAY, 0), ris.orders(1, 4), strict=True):
            clock.move(ahead)
            async with MllpClient("127.0.0.1", gateway.hl7, timeout=20) as connection:
                acknowledgement = parse(await connection.send(order.hl7()))
            header, answer = acknowledgement.first("MSH"), acknowledgement.first("MSA")
            assert header is not None
            assert answer is not None
            assert answer.leaf(1) == "AA"
            stated = datetime.strptime(header.leaf(7)[:14], "%Y%m%d%H%M%S").astimezone()
            assert abs(stated.timestamp() - time.time() - ahead) < 60
