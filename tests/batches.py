"""Transactions of the writer of another size than its own: `make batches` sets BATCH, the units that one takes at most.

A transaction is as large as the work that waits, so the sizes that came of a run are counted as well: each process adds
a line for each transaction to the file BATCH_SIZES, also one that is killed afterwards.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any, Final

from gateway.store import writer

BATCH: Final = int(os.environ.get("BATCH", "0"))
"""0: the writer's own size."""
SIZES: Final = os.environ.get("BATCH_SIZES", "")


def take_size() -> None:
    """Let the writers of this process take BATCH units at most."""
    if BATCH:
        vars(writer)["MAX_BATCH"] = BATCH
    if SIZES:
        _count(os.open(SIZES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))


def _count(file: int) -> None:
    work = writer._work

    def counted(connection: Any, batch: list[Any], *rest: Any) -> Any:
        os.write(file, b"%d\n" % len(batch))
        return work(connection, batch, *rest)

    vars(writer)["_work"] = counted


def counted() -> str:
    """How many transactions there were of each size, for a person; empty: nothing was counted."""
    if not SIZES or not Path(SIZES).exists():
        return ""
    sizes = Counter(map(int, Path(SIZES).read_text(encoding="ascii").split()))
    full = f"{sizes[writer.MAX_BATCH]} of {writer.MAX_BATCH} units, the most that one takes"
    return f"{sizes.total()} transactions of {sum(size * n for size, n in sizes.items())} units; {full}"
