"""Who gets something from the gateway: whether each answers, what waits for it, and what a person must decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.operations.state.components import Component
from gateway.operations.state.part import Fact, Form, Kind, Level, Part, moments
from gateway.operations.state.sources import Silence
from gateway.records.receiver import Receiver, ReceiverType
from gateway.records.study_source import SourceState
from gateway.records.work import WorkKind, images_to
from gateway.store.waiting import MOST_COUNTED, Stuck, Waiting, total

OUTAGE_MICROS: Final = 5 * 60 * 1_000_000
"""So long a receiver may be away before somebody should know."""
PAGE: Final = "/deliveries"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What the database has for those who get something."""

    waiting: Mapping[WorkKind, Waiting]
    stuck: Mapping[str, Stuck]
    """By the text of the kind of work."""
    paused: Mapping[str, int]
    """Receiver -> since when it is paused."""
    sources: Mapping[str, SourceState] = field(default_factory=dict)
    """How sources of studies were polled."""


def receiver_part(receiver: Receiver, outgoing: Outgoing, silences: Mapping[WorkKind, Silence], now: int) -> Part:
    """How a receiver is."""
    waiting = total(outgoing.waiting.get(kind, Waiting()) for kind in receiver.counted_kinds)
    stuck = [one for kind in receiver.kinds if (one := outgoing.stuck.get(str(kind)))]
    seen = [silences[kind] for kind in receiver.kinds if kind in silences]
    source = outgoing.sources.get(receiver.name) if receiver.type is ReceiverType.SOURCE else None
    failed = source.failed_at if source is not None else None
    away, paused = _away_since(waiting, seen) or failed, outgoing.paused.get(receiver.name)
    opens_at = _opens_at(receiver, outgoing, waiting, now)
    facts = [
        Fact("kind", receiver.type.value),
        Fact("waiting", waiting.number, Form.COUNT, waiting.number >= MOST_COUNTED),
        *moments(
            oldest=waiting.oldest_at, next_try=opens_at or waiting.next_at, away_since=away, paused_since=paused,
            last_answer=max((one.answered_at for one in seen if one.answered_at), default=None),
        ),
    ]  # fmt: skip
    if stuck:
        facts.append(Fact("parked", sum(one.number for one in stuck), Form.COUNT, stuck[0].number >= MOST_COUNTED))
    opens = "" if opens_at is None or receiver.image_windows is None else receiver.image_windows.shown(opens_at)
    level, detail = _judged(waiting, stuck, away, paused, opens, now)
    if cause := waiting.cause if away or not stuck else stuck[0].cause:
        facts.append(Fact("cause", cause))
    if source is not None:
        facts += _of_source(source)
    return Part(Kind.RECEIVER, receiver.name, level, detail, facts, page=PAGE)


def _of_source(source: SourceState) -> Iterator[Fact]:
    mark = source.watermark
    yield from moments(last_poll=source.polled_at)
    if mark.reached:
        yield Fact("listed to", f"{mark.reached} of {mark.target}" if mark.target else mark.reached)
    if source.error:
        yield Fact("poll failed", source.error)
    if mark.note:
        yield Fact("note", mark.note)


def _away_since(waiting: Waiting, seen: Sequence[Silence]) -> int | None:
    """Since when a receiver does not answer; None: it does, or nothing is wanted of it.

    A process that has had no answer since it began goes by what waited before, and a command by that alone.
    """
    moments_away = [one.away_since for one in seen if one.away_since]
    if not moments_away:
        return None if seen else waiting.retried_since
    has_answered = any(one.answered_at for one in seen)
    since = min(moments_away)
    return since if has_answered else min(since, waiting.retried_since or since)


def _opens_at(receiver: Receiver, outgoing: Outgoing, waiting: Waiting, now: int) -> int | None:
    """When all that waits may go; None: nothing waits for its hour alone."""
    windows, images = receiver.image_windows, outgoing.waiting.get(images_to(receiver.name))
    if windows is None or images is None or not waiting.number or images.number < waiting.number:
        return None
    return windows.opens_at(now)


def _judged(
    waiting: Waiting, stuck: list[Stuck], away: int | None, paused: int | None, opens: str, now: int
) -> tuple[Level, str]:
    number = f"{waiting.number}{'+' if waiting.number >= MOST_COUNTED else ''}"
    wait = f"; {number} {'waits' if waiting.number == 1 else 'wait'}" if waiting.number else ""
    if paused is not None:
        return Level.WARN, f"paused by a person{wait}"
    if away is not None and not opens and now - away >= OUTAGE_MICROS:
        return Level.BAD, f"does not answer{wait}"
    if parked := sum(one.number for one in stuck):
        bound = "+" if parked >= MOST_COUNTED else ""
        return Level.BAD, f"{parked}{bound} {'waits' if parked == 1 else 'wait'} for a person{wait}"
    if opens:
        return Level.GOOD, f"waits for its window until {opens}{wait}"
    if away is not None:
        return Level.WARN, f"has not answered for less than 5 minutes{wait}"
    if waiting.retried_since is not None and now - waiting.retried_since >= OUTAGE_MICROS:
        return Level.WARN, f"answers, and something is tried again and again{wait}"
    return Level.GOOD, f"answers{wait}" if waiting.number else "nothing waits"


def worker_part(component: Component | None, outgoing: Outgoing, receivers: Iterable[Receiver]) -> Part:
    """Whether what waits is worked off, and what of it has no receiver and needs a person."""
    theirs = {str(kind) for receiver in receivers for kind in receiver.kinds}
    own = {kind: stuck for kind, stuck in outgoing.stuck.items() if kind not in theirs}
    facts = [Fact(f"parked: {kind}", stuck.number, Form.COUNT) for kind, stuck in own.items()]
    state = component.detail if component is not None else "not looked at"
    if component is not None and not component.ok:
        return Part(Kind.WORKER, "", Level.BAD, state, facts)
    if own:
        number = sum(one.number for one in own.values())
        detail = f"{state}; {number} {'waits' if number == 1 else 'wait'} for a person"
        return Part(Kind.WORKER, "", Level.BAD, detail, [*facts, *_causes(own.values())], page=PAGE)
    return Part(Kind.WORKER, "", Level.GOOD, state, facts, page=PAGE)


def _causes(stuck: Iterable[Stuck]) -> Iterator[Fact]:
    yield from (Fact("cause", one.cause) for one in stuck if one.cause)
