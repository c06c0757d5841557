"""Work that a person gives up, each with who, when and why; `gateway replay` takes it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from gateway.clock import Clock
from gateway.errors import RequiredMissing
from gateway.operations.bulk import each_of_cause
from gateway.records.row_ids import WorkRow
from gateway.store import Store, outbox_given_up


@dataclass(frozen=True, slots=True)
class Decision:
    """Who gives up, and why. Raises `RequiredMissing` without a note: whoever comes later must know."""

    person: str
    note: str

    def __post_init__(self) -> None:
        if not self.note.strip():
            raise RequiredMissing("a note is needed: why is it given up?", place="note")


async def give_up(store: Store, ids: Sequence[WorkRow], decision: Decision, clock: Clock) -> list[WorkRow]:
    """Give up deliveries that are parked, rejected or waiting; returns their ids.

    Raises `UnknownKey`, and `Conflict` for what is done, under way or superseded; nothing is given up then.
    """
    change = partial(outbox_given_up.give_up, person=decision.person, note=decision.note, now=clock())
    return await store.write(partial(change, ids=ids))


async def give_up_cause(store: Store, key: str, decision: Decision, clock: Clock) -> tuple[list[WorkRow], list[str]]:
    """Give up all work that is parked or rejected for a cause: the ids, and why others stay. Raises `UnknownKey`."""
    change = partial(outbox_given_up.give_up, person=decision.person, note=decision.note, now=clock())
    return await each_of_cause(store, key, change)
