"""Random histories of orders, patients and appointments: however they come, the worklist is that of `tests/oracle`."""

from __future__ import annotations

import itertools
import random

import pytest

from tests.oracle.act import Feature
from tests.oracle.gateways import served, share, stations
from tests.oracle.history import random_history
from tests.oracle.trial import shrunk, tally

FIXED, ANY, OVER_SOCKETS = 4, 2, 1
"""Histories of the same seeds each time, of seeds that nobody has chosen, and of whole gateways; `make faults` has a
thousand."""


async def test_the_worklist_is_the_oracle_s_in_any_order_of_arrival(database_url: str) -> None:
    histories = [random_history(seed, Feature) for seed in range(FIXED)]
    histories += [random_history(random.getrandbits(64), Feature) for _ in range(ANY)]
    async with stations(database_url, share(database_url)) as gateways:
        result = await tally(gateways, histories)
        for found in result.differences[:1]:
            pytest.fail(f"{result}; the first, made smaller:\n{await shrunk(gateways, found)}")


async def test_whole_gateways_show_what_the_oracle_says(database_url: str) -> None:
    """Over MLLP and DIMSE. Where the time of receipt decides, the clock would have to be moved."""
    histories = (random_history(seed, Feature) for seed in itertools.count())
    some = itertools.islice((history for history in histories if not history.is_sequential), OVER_SOCKETS)
    async with served(database_url, share(database_url)) as gateways:
        result = await tally(gateways, some)
    assert not result.differences, result.differences[0]
