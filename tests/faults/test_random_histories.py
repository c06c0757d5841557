"""A thousand random histories (HISTORIES) from a seed on (FIRST), on each database: how many differ from the oracle."""

from __future__ import annotations

import os
import sys
from typing import Final

import pytest

from tests.oracle.act import Feature
from tests.oracle.gateways import share, stations
from tests.oracle.history import random_history
from tests.oracle.trial import shrunk, tally

HISTORIES: Final = int(os.environ.get("HISTORIES", "1000"))
FIRST: Final = int(os.environ.get("FIRST", "0"))
SHRUNK: Final = 5


async def test_the_worklist_is_the_oracle_s_in_any_order_of_arrival(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    number, kind = share(database_url), database_url.partition(":")[0]
    seeds = range(FIRST, FIRST + HISTORIES)
    async with stations(database_url, number) as gateways:
        result = await tally(gateways, (random_history(seed, Feature) for seed in seeds))
        with capsys.disabled():
            sys.stdout.write(f"\n{kind}, nodes {number}: {result}\n")
        smaller = [str(await shrunk(gateways, found)) for found in result.differences[:SHRUNK]]
    assert not smaller, "the first, made smaller:\n" + "\n\n".join(smaller)
