"""Gateways on one database that are sent a history and asked for the worklist."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from tests.oracle.hl7 import hl7
from tests.oracle.message import Arrival, Group
from tests.oracle.worklist import Item

Shown = tuple[str, str, str, str, str, str]
"""Patient ID, family name, accession number, Requested Procedure ID, Scheduled Procedure Step ID, start."""
Way = Callable[[bytes, int], Coroutine[Any, Any, bytes]]
"""Sends a message, received at that time (microseconds), and gives its acknowledgement."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Result:
    """What a history came to."""

    codes: list[str]
    """MSA-1, and ERR behind it if it is not AA."""
    shown: list[Item]


@dataclass(frozen=True, slots=True)
class Nodes:
    """A way to each gateway, and how to ask for the steps of patients."""

    ways: Sequence[Way]
    ask: Callable[[Collection[str]], Awaitable[Collection[Shown]]]
    one_transaction: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    """Within it each gateway commits nothing; what it was sent is one transaction, in the order of arrival."""

    async def result(self, arrivals: Sequence[Arrival], *, size: int = 1) -> Result:
        """Send a history under identifiers of its own, so many of its messages at one time."""
        [result] = await self.results([arrivals], size=size)
        return result

    async def results(self, histories: Sequence[Sequence[Arrival]], *, size: int) -> list[Result]:
        """Send histories side by side, each under identifiers of its own, so many messages at one time."""
        sendings = [_Sending(f"H{next(_numbers)}X", arrivals) for arrivals in histories]
        beside = itertools.zip_longest(*(one.messages() for one in sendings))
        messages = [one for row in beside for one in row if one is not None]
        codes: dict[str, list[str]] = {one.prefix: [] for one in sendings}
        for first in range(0, len(messages), size):
            some = list(enumerate(messages[first : first + size], first))
            answers = await self._all([self.ways[place % len(self.ways)](raw, at) for place, (_, raw, at) in some])
            for (_, (prefix, _, _)), answer in zip(some, answers, strict=True):
                codes[prefix].append(_code(answer))
        return [Result(codes[one.prefix], one.plain(await self.ask(one.patients()))) for one in sendings]

    async def _all(self, sent: Sequence[Coroutine[Any, Any, bytes]]) -> list[bytes]:
        if len(sent) == 1:
            return [await sent[0]]
        async with self.one_transaction():
            tasks = [asyncio.create_task(one) for one in sent]
            # Each runs until it waits for the writer.
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks)


@dataclass(frozen=True, slots=True)
class _Sending:
    """A history under identifiers that begin with `prefix`."""

    prefix: str
    arrivals: Sequence[Arrival]

    def messages(self) -> Iterator[tuple[str, bytes, int]]:
        """(prefix, message, time of its receipt)."""
        control_ids: dict[int, str] = {}
        for place, arrival in enumerate(self.arrivals):
            control_id = control_ids.setdefault(id(arrival.message), f"{self.prefix}{place}")
            received = round(arrival.received.timestamp() * 1_000_000)
            yield self.prefix, hl7(arrival.message, self.prefix, control_id), received

    def patients(self) -> set[str]:
        return {self.prefix + arrival.message.patient for arrival in self.arrivals}

    def plain(self, shown: Collection[Shown]) -> list[Item]:
        groups = [group for arrival in self.arrivals for group in arrival.message.groups]
        return sorted(_plain(one, self.prefix, groups) for one in shown)


def _code(answer: bytes) -> str:
    segments = {line[:3]: line.split("|") for line in answer.decode().split("\r")}
    code = segments["MSA"][1]
    return code if code == "AA" else f"{code} {'|'.join(segments.get('ERR', ['', ''])[1:])}"


def _plain(shown: Shown, prefix: str, groups: Sequence[Group]) -> Item:
    """Without the prefix, and without identifiers that the gateway has given out."""

    def own(identifier: str, field: str) -> str:
        plain = identifier.removeprefix(prefix)
        return plain if any(getattr(group, field) == plain for group in groups) else ""

    patient, name, accession, procedure, step, start = shown
    ids = own(accession, "accession"), own(procedure, "procedure"), own(step, "step")
    return Item(patient.removeprefix(prefix), name, *ids, start)
