"""A history: what a RIS does, and when its messages arrive."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from tests.oracle.act import Act, Deed, Feature
from tests.oracle.hl7 import local
from tests.oracle.message import Arrival, Group, Message
from tests.oracle.ris import Ris

MORNING: Final = datetime(2025, 10, 24, 6, 0, tzinfo=UTC)
NIGHT: Final = datetime(2025, 10, 25, 23, 30, tzinfo=UTC)
"""Half an hour before 02:00, which comes again an hour later."""
NIGHT_GAP: Final = 6
NIGHT_LATE: Final = 45
"""Minutes: what is later may as well be of the second hour."""
TIED: Final = frozenset({Deed.AGAIN, Deed.CHANGE, Deed.END, Deed.HOLD, Deed.RELEASE})


@dataclass(frozen=True)
class History:
    """Acts of a RIS. `is_night`: in the night in which an hour comes twice."""

    acts: tuple[Act, ...]
    features: frozenset[Feature]
    is_night: bool = False

    @cached_property
    def told(self) -> list[tuple[Message, Act]]:
        """The messages in the order in which they were stated, each with its act."""
        ris, at = Ris(self.features), NIGHT if self.is_night else MORNING
        stated, before = [], None
        for act in self.acts:
            tied = Feature.TIES in self.features and {act.deed, before} <= TIED and not self.is_night
            gap = act.gap if tied else max(1, act.gap)
            message = ris.message(act, at + timedelta(minutes=gap * (NIGHT_GAP if self.is_night else 1)))
            if message is not None:
                at, before = message.at, act.deed
                stated.append((message, act))
        return stated

    @property
    def in_order(self) -> list[Arrival]:
        """As stated, each at once."""
        return [Arrival(one, one.at + timedelta(seconds=place / 5)) for place, (one, _) in enumerate(self.told)]

    @property
    def late(self) -> list[Arrival]:
        """With the delays of the acts, and with what arrives once more."""
        arrivals = list(self._late())
        return sorted(arrivals, key=lambda arrival: arrival.received)

    def _late(self) -> Iterator[Arrival]:
        for place, (message, act) in enumerate(self.told):
            late = min(act.late, NIGHT_LATE) if self.is_night else act.late
            received = message.at + timedelta(minutes=late, seconds=place / 5)
            yield Arrival(message, received)
            if act.again and Feature.REPEATS in self.features and not self.is_night:
                yield Arrival(message, received + timedelta(minutes=act.again, seconds=0.1))

    @property
    def is_sequential(self) -> bool:
        """Whether the time of receipt decides, so that no two messages may arrive at one time."""
        times = [message.at for message, _ in self.told]
        return self.is_night or len(set(times)) < len(times)


def once(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Without what was there before: the same bytes again change nothing (docs/architecture.md, `order_intake`)."""
    first: dict[int, Arrival] = {}
    for arrival in arrivals:
        first.setdefault(id(arrival.message), arrival)
    return list(first.values())


def random_history(seed: int, features: Iterable[Feature]) -> History:
    """The history of a seed; some of the features, so that each meets each."""
    draw = random.Random(seed)
    some = frozenset(one for one in sorted(features, key=lambda one: one.name) if draw.random() < 0.6)
    common = [deed for deed in Deed if deed.feature is None]
    deeds = common + [deed for deed in Deed if deed.feature in some] * 2
    persons = 2 if Feature.MERGES in some else 1

    def act(deed: Deed, order: int) -> Act:
        return Act(
            deed, order, max(0, draw.randrange(5) - 2), draw.randrange(16), draw.randrange(12), draw.randrange(6),
            draw.choice((0, 0, 5, 20, 45)), max(0, draw.randrange(-40, 20)),
        )  # fmt: skip

    acts = [act(Deed.ORDER, number) for number in range(draw.randint(1, persons))]
    acts += [act(draw.choice(deeds), draw.randrange(4)) for _ in range(draw.randrange(2, 13))]
    return History(tuple(acts), some, Feature.CLOCK_CHANGE in some and draw.random() < 0.4)


def smaller(history: History) -> Iterator[History]:
    """Histories that differ in one act which is left out, or in one number which is less."""
    for place in range(len(history.acts)):
        yield _with(history, history.acts[:place] + history.acts[place + 1 :])
    for place, act in enumerate(history.acts):
        for name in ("again", "late", "patient", "numbers", "order", "what"):
            for value in range(getattr(act, name)) if getattr(act, name) < 16 else (0, 10):
                less = _replaced(act, name, value)
                yield _with(history, (*history.acts[:place], less, *history.acts[place + 1 :]))
    for feature in history.features:
        yield History(history.acts, history.features - {feature}, history.is_night and feature.name != "CLOCK_CHANGE")


def _with(history: History, acts: tuple[Act, ...]) -> History:
    return History(acts, history.features, history.is_night)


def _replaced(act: Act, name: str, value: int) -> Act:
    numbers: dict[str, Any] = {name: value}
    return replace(act, **numbers)


def readable(arrival: Arrival) -> str:
    """A line for a person: when received, when stated, and what."""
    one = arrival.message
    groups = "; ".join(_group(group) for group in one.groups)
    prior = f" MRG {one.prior}" if one.prior else ""
    return (
        f"{local(arrival.received)[8:14]} states {local(one.at)[8:12]} {one.type} PID {one.patient} {one.name}{prior}"
        f"{' | ' if groups else ''}{groups}"
    )


def _group(group: Group) -> str:
    numbers = " ".join(number for _, number in group.numbers)
    parent = f" ORC-8 {'^'.join(number for _, number in group.parent)}" if group.parent else ""
    ids = f" RP {group.procedure or '-'} SPS {group.step or '-'}"
    control = "/".join(filter(None, (group.control, group.status)))
    return f"{control} {numbers}{ids}{parent} start {group.start or '-'}"
