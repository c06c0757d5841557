"""Receivers (EHRs, destinations) and sources of studies: what waits for each, and pauses, in which nothing of theirs is
done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.errors import UnknownKey
from gateway.operations.answers.receivers import PauseChanged
from gateway.records.receiver import Pause, Receiver, ReceiverType
from gateway.records.study_source import SourceState
from gateway.records.work import STUCK, WorkState
from gateway.store import pauses, receiver_work, source_watermarks, waiting


@dataclass(frozen=True, slots=True)
class ReceiverWork:
    """A receiver and the work that has it as its target. Moments in microseconds; of each kind of work at most
    `waiting.MOST_COUNTED` rows are counted."""

    name: str
    type: ReceiverType
    pause: Pause | None
    waiting: int
    oldest_at: int | None
    """When the oldest that waits was added."""
    next_at: int | None
    """When the next of them falls due."""
    parked: int
    """Rejected ones as well."""
    given_up: int
    last_done_at: int | None
    source: SourceState | None = None
    """Of a source of studies: how it was polled."""


def states_of(connection: Connection, receivers: Sequence[Receiver]) -> list[ReceiverWork]:
    """Each receiver with its pause and its work, in the order given."""
    paused = pauses.listing(connection)
    sources = source_watermarks.of_receivers(connection, receivers)
    return [_state(connection, one, paused.get(one.name), sources) for one in receivers]


def _state(
    connection: Connection, receiver: Receiver, pause: Pause | None, sources: Mapping[str, SourceState]
) -> ReceiverWork:
    kinds = receiver.counted_kinds

    def count(states: Iterable[WorkState]) -> int:
        return sum(receiver_work.count(connection, kind, state) for kind in kinds for state in states)

    waits = waiting.total(waiting.waiting(connection, kinds).values())
    ends = [receiver_work.last_end(connection, kind, WorkState.DONE) for kind in kinds]
    return ReceiverWork(
        name=receiver.name,
        type=receiver.type,
        pause=pause,
        waiting=waits.number,
        oldest_at=waits.oldest_at,
        next_at=waits.next_at,
        parked=count(STUCK),
        given_up=count([WorkState.GIVEN_UP]),
        last_done_at=max((at for at in ends if at is not None), default=None),
        source=sources.get(receiver.name) if receiver.type is ReceiverType.SOURCE else None,
    )


def receiver_of(receivers: Sequence[Receiver], name: str) -> Receiver:
    """The receiver of a name. Raises `UnknownKey`."""
    for one in receivers:
        if one.name == name:
            return one
    names = ", ".join(one.name for one in receivers) or "none"
    raise UnknownKey(f"there is no receiver {name!r}; the configuration has {names}", place="name")


def pause(
    connection: Connection, receivers: Sequence[Receiver], names: Sequence[str], *, person: str, note: str, now: int
) -> PauseChanged:
    """Send nothing to these receivers until `resume`; what is under way ends. Raises `UnknownKey`.

    Of two receivers with one name both are paused.
    """
    for name in names:
        receiver_of(receivers, name)
    wanted = [Pause(name, now, person, note) for name in dict.fromkeys(names)]
    return PauseChanged(receivers=list(names), paused=True, changed=pauses.begin(connection, wanted))


def pause_all(connection: Connection, receivers: Sequence[Receiver], *, person: str, now: int) -> PauseChanged:
    """Pause every receiver at a start: of a restored backup nobody knows yet what may be sent."""
    names = [one.name for one in receivers]
    return pause(connection, receivers, names, person=person, note="started with --paused", now=now)


def resume(connection: Connection, receivers: Sequence[Receiver], names: Sequence[str]) -> PauseChanged:
    """Let the work of these receivers go on at once. Raises `UnknownKey` for a name that is neither configured nor
    paused."""
    paused = pauses.listing(connection)
    for name in names:
        if name not in paused:
            receiver_of(receivers, name)
    changed = [name for name in dict.fromkeys(names) if pauses.end(connection, name)]
    return PauseChanged(receivers=list(names), paused=False, changed=changed)
