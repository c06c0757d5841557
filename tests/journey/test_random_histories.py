"""Random histories of orders, patients and appointments: however they come, the worklist is that of `tests/oracle`."""

from __future__ import annotations

import itertools
import random
from typing import Final

import pytest

from tests.oracle.act import Feature
from tests.oracle.gateways import served, share, stations
from tests.oracle.history import random_history
from tests.oracle.trial import shrunk, tally

FIXED, ANY, OVER_SOCKETS = 20, 10, 3
"""Histories of the same seeds each time, of seeds that nobody has chosen, and of whole gateways."""
OF_ANY_SEED: Final = {feature: feature not in (Feature.SPLIT_NUMBERS, Feature.STUDY_UIDS) for feature in Feature}
"""Rare histories differ in which a message waits for a merge and names its order by accession number or study alone."""
AT_ONE_TIME: Final = False
"""Messages at one time on two nodes: `make faults`, which counts the histories that differ."""


async def test_the_worklist_is_the_oracle_s_in_any_order_of_arrival(database_url: str) -> None:
    some = [feature for feature, is_used in OF_ANY_SEED.items() if is_used]
    histories = [random_history(seed, Feature) for seed in range(FIXED)]
    histories += [random_history(random.getrandbits(64), some) for _ in range(ANY)]
    async with stations(database_url, share(database_url)) as gateways:
        result = await tally(gateways, histories, at_one_time=AT_ONE_TIME)
        for found in result.differences[:1]:
            pytest.fail(f"{result}; the first, made smaller:\n{await shrunk(gateways, found)}")


async def test_whole_gateways_show_what_the_oracle_says(database_url: str) -> None:
    """Over MLLP and DIMSE. Where the time of receipt decides, the clock would have to be moved."""
    histories = (random_history(seed, Feature) for seed in itertools.count())
    some = itertools.islice((history for history in histories if not history.is_sequential), OVER_SOCKETS)
    async with served(database_url, share(database_url)) as gateways:
        result = await tally(gateways, some, at_one_time=AT_ONE_TIME)
    assert not result.differences, result.differences[0]
