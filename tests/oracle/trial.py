"""A history sent to gateways in several orders of arrival, and where the result is not what the oracle says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.oracle.history import History, once, readable, smaller
from tests.oracle.message import Arrival
from tests.oracle.nodes import Nodes, Result
from tests.oracle.worklist import Item, acknowledgements, worklist

SIZES: Final = (2, 3, 17)
"""Messages that arrive at one time, of which each gateway makes one transaction."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first order of arrival whose result differs. `str` gives the history for a person."""

    history: History
    run: str
    """`in order`, `late`, `3 at one time`."""
    what: str
    """`acknowledgements` or `worklist`."""
    arrivals: list[Arrival]
    expected: list[Item]
    result: Result

    def __str__(self) -> str:
        lines = [f"{self.what} of messages that came {self.run}:"]
        lines += [f"  {readable(one)} -> {code}" for one, code in zip(self.arrivals, self.result.codes, strict=True)]
        lines += [f"expected {item}" for item in self.expected] or ["expected nothing"]
        lines += [f"shown    {item}" for item in self.result.shown] or ["shown    nothing"]
        return "\n".join(lines)

    @property
    def kind(self) -> str:
        return f"{self.run}, {self.what}"


async def difference(nodes: Nodes, history: History) -> Difference | None:
    """Send the history in order, late, and late with so many of it at one time; None if all is as the oracle says."""
    if not history.told:
        return None
    runs = [("in order", history.in_order, 1), ("late", history.late, 1)]
    # A gateway alone commits what comes at one time in the order in which it came.
    if len(nodes.ways) == 1 or not history.is_sequential:
        runs += [(f"{size} at one time", history.late, size) for size in SIZES]
    for run, arrivals, size in runs:
        if (found := _compared(history, run, arrivals, await nodes.result(arrivals, size=size))) is not None:
            return found
    return None


async def differences_together(nodes: Nodes, histories: Sequence[History], size: int) -> list[Difference]:
    """Send the histories late and side by side, so many messages at one time; those that are not as the oracle says."""
    some = [one for one in histories if one.told and (len(nodes.ways) == 1 or not one.is_sequential)]
    results = await nodes.results([one.late for one in some], size=size)
    compared = [
        _compared(one, f"{size} at one time, of many", one.late, result)
        for one, result in zip(some, results, strict=True)
    ]
    return [one for one in compared if one is not None]


def _compared(history: History, run: str, arrivals: list[Arrival], result: Result) -> Difference | None:
    expected = worklist(once(arrivals))
    if any(code[:2] not in may for code, may in zip(result.codes, acknowledgements(arrivals), strict=True)):
        return Difference(history, run, "acknowledgements", arrivals, expected, result)
    if result.shown != expected:
        return Difference(history, run, "worklist", arrivals, expected, result)
    return None


async def shrunk(nodes: Nodes, found: Difference) -> Difference:
    """The smallest history that differs in the same way, as far as leaving out one thing at a time leads."""
    for history in smaller(found.history):
        less = await difference(nodes, history)
        if less is not None and less.kind == found.kind:
            return await shrunk(nodes, less)
    return found


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of many histories."""

    histories: int
    messages: int
    differences: list[Difference]

    def __str__(self) -> str:
        kinds = Counter(one.kind for one in self.differences)
        parts = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
        return f"{self.histories} histories of {self.messages} messages: {len(self.differences)} differ" + (
            f" ({parts})" if parts else ""
        )


async def tally(nodes: Nodes, histories: Iterable[History]) -> Tally:
    number, messages, differences = 0, 0, []
    for history in histories:
        number, messages = number + 1, messages + len(history.told)
        if (found := await difference(nodes, history)) is not None:
            differences.append(found)
    return Tally(number, messages, differences)
