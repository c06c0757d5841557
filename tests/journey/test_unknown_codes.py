"""A code that no table has is counted once for each message that comes with it, whether that is applied or not."""

from __future__ import annotations

from functools import partial

from gateway.clock import now
from gateway.store import unknown_codes
from tests.journey.messages import orm
from tests.journey.running import Start, sqlite
from tests.journey.test_scheduling import outcomes


@sqlite
async def test_codes_of_messages_are_counted(start: Start) -> None:
    odd_sex = orm(control_id="3", accession="ACC3", placer="P3", filler="F3", study_uid="1.2.3.7")
    odd_sex = odd_sex.replace(b"19800102|M", b"19800102|Q", 1)
    async with start() as gateway:
        refused = [orm(modality="QQ", control_id=str(number)) for number in (1, 2)]
        assert await outcomes(gateway, *refused, odd_sex) == ["AE", "AE", "AA"]
        # The messages of an order are read again with each of its messages; they count once.
        again = orm(control_id="4", accession="ACC3", placer="P3", filler="F3", study_uid="1.2.3.7", control="XO")
        assert await outcomes(gateway, again) == ["AA"]
        rows = await gateway.store.read(partial(unknown_codes.listing, now=now()))
    counted = {(row.table, row.code): (row.count, row.message) for row in rows}
    assert counted == {("modality", "QQ"): (2, 2), ("sex", "Q"): (1, 3)}
