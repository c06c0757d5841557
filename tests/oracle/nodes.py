"""Gateways on one database that are sent a history and asked for the worklist."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
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
        prefix = f"H{next(_numbers)}X"
        control_ids: dict[int, str] = {}
        codes: list[str] = []
        for first in range(0, len(arrivals), size):
            sent = []
            for place, arrival in enumerate(arrivals[first : first + size], first):
                control_id = control_ids.setdefault(id(arrival.message), f"{prefix}{place}")
                way = self.ways[place % len(self.ways)]
                received = round(arrival.received.timestamp() * 1_000_000)
                sent.append(way(hl7(arrival.message, prefix, control_id), received))
            codes += [_code(answer) for answer in await self._all(sent)]
        shown = await self.ask({prefix + arrival.message.patient for arrival in arrivals})
        groups = [group for arrival in arrivals for group in arrival.message.groups]
        return Result(codes, sorted(_plain(one, prefix, groups) for one in shown))

    async def _all(self, sent: Sequence[Coroutine[Any, Any, bytes]]) -> list[bytes]:
        if len(sent) == 1:
            return [await sent[0]]
        async with self.one_transaction():
            tasks = [asyncio.create_task(one) for one in sent]
            # Each runs until it waits for the writer.
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks)


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
