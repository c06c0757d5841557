"""Work of many milliseconds: done beside the event loop, one piece after another.

Python runs one thread at a time. Several threads that compute would each make the loop wait for a turn of theirs; so
long pieces of work wait for one another, and the loop competes with one of them at most.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

LONG_BYTES: Final = 16 * 1024
"""What is longer is read beside the loop: to read so much takes some milliseconds."""
TURN_SECONDS: Final = 0.0005
"""For how long a thread computes while another waits (`sys.setswitchinterval`), during long work: Python's own 5 ms are
what a C-FIND takes, and it waits for several turns. At other times such turns would cost intake a third of its rate."""
_USUAL_TURN_SECONDS: Final = sys.getswitchinterval()
_PIECES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]] = WeakKeyDictionary()


async def beside(work: Callable[[], T]) -> T:
    """The result of `work`, which runs in a thread when the long work before it is done. Raises what `work` raises."""
    async with _PIECES.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        sys.setswitchinterval(TURN_SECONDS)
        try:
            return await asyncio.to_thread(work)
        finally:
            sys.setswitchinterval(_USUAL_TURN_SECONDS)
