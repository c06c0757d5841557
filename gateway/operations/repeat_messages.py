"""Working again on all messages that were not applied for one cause, once that is mended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from gateway.errors import UnknownKey
from gateway.records.row_ids import MessageRow
from gateway.store import Store, put_away

MOST_REPEATED: Final = 1000
"""Messages that are worked on again at a time."""


@dataclass(frozen=True, slots=True)
class RepeatedCause:
    """What came of working again on the messages of a cause."""

    key: str
    applied: int
    failed: int
    left: bool
    """Whether there are more than `MOST_REPEATED`."""


async def repeat_cause(store: Store, key: str, replay_message: Callable[[MessageRow], Awaitable[str]]) -> RepeatedCause:
    """Work again on messages that call for a person for a cause, one after the other. Raises `UnknownKey` when none
    does. `replay_message` works on a kept message again and returns its new MSA-1."""
    applied, after, ids = 0, 0, list[int]()
    while len(ids) < MOST_REPEATED and (
        page := await store.read(partial(put_away.open_of_cause, key=key, after=after))
    ):
        ids += page
        after = page[-1]
        for message in page:
            applied += await replay_message(MessageRow(message)) == "AA"
    if not ids:
        raise UnknownKey("no message calls for a person for this cause", place=f"cause {key}")
    left = bool(await store.read(partial(put_away.open_of_cause, key=key, after=after)))
    return RepeatedCause(key, applied, len(ids) - applied, left)
