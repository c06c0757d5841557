"""A thousand random histories (HISTORIES) from a seed on (FIRST), on each database: how many differ from the oracle."""

from __future__ import annotations

import os
import sys
from typing import Final

import pytest

from gateway.store import writer
from tests.oracle.act import Feature
from tests.oracle.gateways import share, stations
from tests.oracle.history import random_history
from tests.oracle.trial import differences_together, shrunk, tally

HISTORIES: Final = int(os.environ.get("HISTORIES", "1000"))
FIRST: Final = int(os.environ.get("FIRST", "0"))
SHRUNK: Final = 5
BESIDE: Final = 100
"""Histories that are sent side by side, each of patients and orders of its own."""


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


async def test_the_worklist_is_the_oracle_s_where_transactions_are_full(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    number, kind = share(database_url), database_url.partition(":")[0]
    size = number * writer.MAX_BATCH
    found = []
    async with stations(database_url, number) as gateways:
        for first in range(FIRST, FIRST + HISTORIES, BESIDE):
            some = [random_history(seed, Feature) for seed in range(first, first + BESIDE)]
            found += await differences_together(gateways, some, size)
    with capsys.disabled():
        sys.stdout.write(f"\n{kind}, nodes {number}, {size} messages at one time: {len(found)} differ\n")
    assert not found, "\n\n".join(map(str, found[:SHRUNK]))
