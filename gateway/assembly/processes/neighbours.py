"""What the processes of a gateway ask one another, so that whoever asks one of them gets the answer of all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.assembly.processes.place import ProcessPlace
from gateway.observe import metrics
from gateway.observe.shared_metrics import together
from gateway.operations.state.sources import Silence
from gateway.records.work import WorkKind

ANSWER_SECONDS: Final = 1.0
"""A process that does not answer in this time is left out."""

log = logging.getLogger(__name__)

Silences = Mapping[WorkKind, Silence]


@dataclass(slots=True)
class Neighbours:
    """Answers the other processes for this one, and asks them. `silences`: how receivers answer this process."""

    place: ProcessPlace
    silences: Callable[[], Silences]
    _others: list[dict[str, Any]] = field(default_factory=list)
    """What they answered last."""

    async def begin(self, stack: AsyncExitStack) -> None:
        """Answer until `stack` ends. Raises `OSError`."""
        if self.place.folder is None:
            return
        server = await asyncio.start_unix_server(self._answer, self._path(self.place.number))
        stack.callback(server.close)

    async def all_metrics(self, own: bytes) -> bytes:
        """The page of metrics of all processes; `own`: of this one."""
        if self.place.folder is None:
            return own
        await self.look()
        pages = {int(one["process"]): str(one["metrics"]).encode() for one in self._others}
        return together({**pages, self.place.number: own}, self.place.number)

    async def look(self) -> None:
        """Ask the others how receivers answer them, for `all_silences`."""
        numbers = [one for one in range(1, self.place.of + 1) if one != self.place.number]
        answers = await asyncio.gather(*map(self._ask, numbers))
        self._others = [one for one in answers if one is not None]

    def all_silences(self) -> Silences:
        """How receivers answer the gateway: one that answers any process, since another gave it up, is there."""
        found = dict(self.silences())
        for other in self._others:
            for text, answered_at, away_since in other["silences"]:
                kind = WorkKind.of(text)
                theirs = Silence(answered_at, away_since)
                found[kind] = _joined(found[kind], theirs) if kind in found else theirs
        return found

    def _path(self, number: int) -> Path:
        assert self.place.folder is not None
        return self.place.folder / str(number)

    async def _answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silences = [[str(kind), one.answered_at, one.away_since] for kind, one in self.silences().items()]
        page = metrics.as_counted().decode()
        writer.write(orjson.dumps({"process": self.place.number, "metrics": page, "silences": silences}))
        writer.close()

    async def _ask(self, number: int) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._path(number))
                try:
                    answer: dict[str, Any] = orjson.loads(await reader.read(-1))
                    return answer
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError):
            return None


def _joined(one: Silence, other: Silence) -> Silence:
    answered_at = max((at for at in (one.answered_at, other.answered_at) if at is not None), default=None)
    away_since = min((at for at in (one.away_since, other.away_since) if at is not None), default=None)
    if away_since is not None and answered_at is not None and answered_at > away_since:
        away_since = None
    return Silence(answered_at, away_since)
