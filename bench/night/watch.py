"""What an operator sees meanwhile: readiness, the console's page, the log; noted whenever it changes."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from html import unescape
from typing import Final

import aiohttp

from bench.night.node import Node, logged

LOOK_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 8.0
_STYLE: Final = re.compile(r"<style>.*?</style>", re.DOTALL)
_LINE_END: Final = re.compile(r"</(?:tr|h1|h2|p|li)>")
_TAG: Final = re.compile(r"<[^>]+>")
_VERSION: Final = re.compile(r"Version \S+ as of \S+\.?\s*|Version \S+, as of \S+\s*")
_WAITING: Final = re.compile(
    r'^gateway_outbox_rows\{kind="(?:ehr:[^"]+|settle)",state="(?:pending|leased)"\} (\S+)', re.M
)


@dataclass(frozen=True, slots=True)
class Sight:
    """Something that an operator sees from a moment on."""

    at: float
    """Monotonic seconds."""
    node: str
    where: str
    """`/health/ready`, `console` or `log`."""
    text: str


@dataclass(slots=True)
class Watch:
    """Looks at all nodes each second."""

    nodes: list[Node]
    sights: list[Sight] = field(default_factory=list)
    waiting: list[tuple[float, int]] = field(default_factory=list)
    """(moment, studies and deliveries that wait), as the metrics of a node say."""

    async def run(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as group:
            for node in self.nodes:
                group.create_task(self._changes(node, "/health/ready", "/health/ready", _readiness))
                group.create_task(self._changes(node, "console", "/", _page))
                group.create_task(self._log(node))
                group.create_task(self._metrics(node))

    async def _changes(self, node: Node, where: str, path: str, seen: Callable[[int, str], str]) -> None:
        last = ""
        while True:
            text = seen(*await _get(node, path))
            if text != last:
                self.sights.append(Sight(time.monotonic(), node.name, where, text))
            last = text
            await asyncio.sleep(LOOK_SECONDS)

    async def _log(self, node: Node) -> None:
        position = 0
        while True:
            lines, position = logged(node, position)
            self.sights += [Sight(time.monotonic(), node.name, "log", line) for line in lines]
            await asyncio.sleep(LOOK_SECONDS)

    async def _metrics(self, node: Node) -> None:
        while True:
            status, body = await _get(node, "/metrics")
            if status == 200 and "gateway_outbox_rows" in body:
                rows = sum(int(float(number)) for number in _WAITING.findall(body))
                self.waiting.append((time.monotonic(), rows))
            await asyncio.sleep(LOOK_SECONDS)

    async def nothing_waits(self) -> None:
        """Wait until a look that begins now shows that all is settled and delivered."""
        begun = time.monotonic()
        while not any(at > begun + LOOK_SECONDS and rows == 0 for at, rows in self.waiting[-2:]):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)


async def _get(node: Node, path: str) -> tuple[int, str]:
    """(HTTP status, body); 0 when there is no answer."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://127.0.0.1:{node.http}{path}") as answer,
        ):
            return answer.status, await answer.text()
    except TimeoutError:
        return 0, f"no answer within {PATIENCE_SECONDS:g} s"
    except aiohttp.ClientError as error:
        return 0, type(error).__name__


def _readiness(status: int, body: str) -> str:
    if not status:
        return body
    components = json.loads(body)["components"]
    bad = [f"{name}: {one['detail']}" for name, one in components.items() if not one["ok"]]
    return f"{status} {'; '.join(bad) or 'all well'}"


def _page(status: int, body: str) -> str:
    """The page as it is read aloud: its verdict, and each component that is not well."""
    if not status:
        return body
    text = unescape(_TAG.sub(" ", _LINE_END.sub("\n", _STYLE.sub("", body).replace("\n", " "))))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    verdict = [_VERSION.sub("", line).strip() for line in lines if line.startswith("Version")]
    # The moment of the page would make each look another sight.
    lines = [line for line in lines if not line.startswith("Version")]
    bad = [line for line in lines if " not well " in line or "does not answer." in line]
    stuck = [line for line in lines if " parked " in line or " rejected " in line]
    return " / ".join([*verdict, *bad, *stuck[:2]])
