"""Which lanes are free while outcomes are written."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.row_ids import WorkRow
from gateway.records.work import Lane, Work
from gateway.work.lanes import Lanes
from tests.store.work import KIND

WORK = Work(WorkRow(1), Lane(KIND, StudyInstanceUID("1.2")), {}, 0, "first", 0)


async def test_a_lane_is_free_from_the_moment_at_which_its_outcome_is_written() -> None:
    lanes, going = Lanes(), asyncio.Event()

    async def do() -> None:
        await going.wait()

    first = asyncio.create_task(do())
    lanes.begin(first, WORK)
    assert (lanes.taken, lanes.all_done.is_set()) == (1, False)
    lanes.done(WORK)
    assert (lanes.taken, lanes.all_done.is_set()) == (1, True)
    lanes.leave(WORK)
    assert (lanes.taken, lanes.hint.is_set()) == (0, True)

    # The same row once more, before the task of its former try has ended.
    again, second = replace(WORK, lease="second"), asyncio.create_task(asyncio.sleep(3600))
    lanes.begin(second, again)
    going.set()
    await first
    await asyncio.sleep(0)
    assert list(lanes.running) == [second]
    assert (lanes.taken, lanes.all_done.is_set()) == (1, False)
    second.cancel()
