"""The intake of orders without a listener: what MLLP hands its messages to, on a database that tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from gateway.assembly.mappings import load_mappings
from gateway.assembly.orders import make_intake
from gateway.assembly.readers import make_reader
from gateway.clock import now
from gateway.journey.order_intake.station import OrderIntake
from gateway.store import Store
from gateway.wire.hl7.mllp_framing import MllpPeer
from tests.journey.running import config_of

shared = pytest.mark.asyncio(loop_scope="module")
"""The mark of tests that have `shared_intake`."""


@dataclass(frozen=True)
class Intake:
    store: Store
    station: OrderIntake

    async def outcomes(self, *raw: bytes) -> list[str]:
        """MSA-1 of the answers."""
        blocks = [await self.station.receive(one, MllpPeer("127.0.0.1", 1)) or [] for one in raw]
        return [one.split(b"\rMSA|")[1][:2].decode() for [one] in blocks]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_intake(file_database_url: str) -> AsyncIterator[Intake]:
    """One for all tests of a file; each has orders and patients of its own (`apart` of `messages.py`)."""
    config = config_of(file_database_url)
    store = await Store.open(file_database_url)
    reader = make_reader(config, load_mappings(config))
    yield Intake(store, make_intake(config, config.hl7.listeners[0], store, reader, now))
    await store.close()
