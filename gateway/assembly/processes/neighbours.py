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

ANSWER_SECONDS: Final = 0.8
"""A process that does not answer in this time is left out. Who probes a gateway gives up after a second, by default."""
SILENT_SECONDS: Final = 0.25
"""The same, of a process that did not answer the last time: whoever asks would wait for it each time."""
_METRICS: Final = b"metrics\n"
_SILENCES: Final = b"silences\n"
"""Questions. Answers are JSON, so that one which is cut off is none."""

log = logging.getLogger(__name__)

Silences = Mapping[WorkKind, Silence]


@dataclass(slots=True)
class Neighbours:
    """Answers the other processes for this one, and asks them. `silences`: how receivers answer this process."""

    place: ProcessPlace
    silences: Callable[[], Silences]
    _others: list[list[tuple[str, int | None, int | None]]] = field(default_factory=list)
    """What they answered last: kind of work, and the moments of its `Silence`."""

    silent: frozenset[int] = frozenset()
    """Processes that accept connections, and did not answer when they were asked last: they hang, or are stopped."""

    async def begin(self, stack: AsyncExitStack) -> None:
        """Answer until `stack` ends."""
        if self.place.folder is None:
            return
        path = self._path(self.place.number)
        try:
            server = await asyncio.start_unix_server(self._answer, path)
        except OSError as error:
            why = error.strerror or str(error)
            log.warning(
                "the other processes get no answer of this one, their metrics are without it: %s: %s", path, why
            )
            return
        stack.callback(server.close)

    async def all_metrics(self, own: Callable[[], bytes]) -> bytes:
        """The page of metrics of all processes that answer; `own` gives that of this one."""
        if self.place.folder is None:
            return own()
        pages = {number: page.encode() for number, page in (await self._ask_others(_METRICS)).items()}
        for number in range(1, self.place.of + 1):
            metrics.PROCESS_ANSWERED.labels(number).set(number in pages or number == self.place.number)
        return together({**pages, self.place.number: own()}, self.place.number)

    async def look(self) -> None:
        """Ask the others how receivers answer them, for `all_silences`."""
        self._others = list((await self._ask_others(_SILENCES)).values())

    def all_silences(self) -> Silences:
        """How receivers answer the gateway: one that answers any process, since another gave it up, is there."""
        found = dict(self.silences())
        for other in self._others:
            for text, answered_at, away_since in other:
                kind = WorkKind.of(text)
                theirs = Silence(answered_at, away_since)
                found[kind] = _joined(found[kind], theirs) if kind in found else theirs
        return found

    def _path(self, number: int) -> Path:
        assert self.place.folder is not None
        return self.place.folder / str(number)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer: Any
        if await reader.readline() == _METRICS:
            answer = metrics.as_counted().decode()
        else:
            answer = [(str(kind), one.answered_at, one.away_since) for kind, one in self.silences().items()]
        writer.write(orjson.dumps(answer))
        writer.close()

    async def _ask_others(self, question: bytes) -> dict[int, Any]:
        """The answers of the processes that answer, by their numbers."""
        numbers = [number for number in range(1, self.place.of + 1) if number != self.place.number]
        answers = await asyncio.gather(*(self._ask(number, question) for number in numbers))
        found = {number: answer for number, answer in zip(numbers, answers, strict=True) if answer is not None}
        self._note(frozenset(one for one in numbers if one not in found and self.place.accepts(one)))
        return found

    def _note(self, silent: frozenset[int]) -> None:
        for number in sorted(silent - self.silent):
            log.warning("process %d accepts connections and does not answer: metrics and pages are without it", number)
        for number in sorted(self.silent - silent):
            log.info("process %d answers, or has ended", number)
        self.silent = silent

    async def _ask(self, number: int, question: bytes) -> Any:
        try:
            async with asyncio.timeout(SILENT_SECONDS if number in self.silent else ANSWER_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._path(number))
                try:
                    writer.write(question)
                    return orjson.loads(await reader.read(-1))
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
