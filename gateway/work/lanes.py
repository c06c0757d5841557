"""What of one kind of work is under way, and what wakes whoever claims more of it."""

from __future__ import annotations

import asyncio

from gateway.records.row_ids import WorkRow
from gateway.records.work import Work

Try = tuple[WorkRow, str]
"""A row of work, and the name of its lease: what waits on may be claimed anew before the task that did it has ended."""


class Lanes:
    """A lane is taken until the writer is given what closes its work, not until that is on disk: what takes its place
    is claimed by the same transaction or by a later one, and begins when the outcome is there."""

    def __init__(self) -> None:
        self.hint = asyncio.Event()
        """Set when looking for more makes sense."""
        self.running: dict[asyncio.Task[None], Work] = {}
        self.all_done = asyncio.Event()
        """Set while nothing is on its way: what is taken waits to be closed."""
        self.all_done.set()
        self._taken: set[Try] = set()
        self._on_its_way: set[Try] = set()

    @property
    def taken(self) -> int:
        """How many are not free."""
        return len(self._taken)

    def begin(self, task: asyncio.Task[None], work: Work) -> None:
        """`task` does `work`."""
        self.running[task] = work
        self._taken.add(_of(work))
        self._on_its_way.add(_of(work))
        self.all_done.clear()
        task.add_done_callback(self._end)

    def done(self, work: Work) -> None:
        """`work` is done, and waits to be closed."""
        self._on_its_way.discard(_of(work))
        if not self._on_its_way:
            self.all_done.set()

    def leave(self, work: Work) -> None:
        """The writer is about to be given what closes `work`."""
        self._taken.discard(_of(work))
        self.hint.set()

    def _end(self, task: asyncio.Task[None]) -> None:
        work = self.running.pop(task)
        self.done(work)
        self.leave(work)


def _of(work: Work) -> Try:
    return work.id, work.lease
