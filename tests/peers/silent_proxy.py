"""A proxy in front of PostgreSQL's socket that can swallow what passes: no answer comes, and no connection ends."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_SOCKET = ".s.PGSQL.5432"


class SilentProxy:
    """`url` leads through it."""

    def __init__(self, target: str, folder: Path) -> None:
        [host] = parse_qs(urlsplit(target).query)["host"]
        self.url = target.replace(host, str(folder))
        self._target = f"{host}/{_SOCKET}"
        self._goes_on = asyncio.Event()
        self._goes_on.set()

    @contextmanager
    def swallowing(self) -> Iterator[None]:
        """Keep everything, in both directions, until the end of the block."""
        self._goes_on.clear()
        try:
            yield
        finally:
            self._goes_on.set()

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_unix_connection(self._target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, ours))
                group.create_task(self._pump(theirs, writer))
        finally:
            for end in (ours, writer):
                end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._goes_on.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def silent_proxy(target: str) -> AsyncIterator[SilentProxy]:
    """A proxy in front of `target`, the URL of a database behind a socket."""
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        proxy = SilentProxy(target, Path(folder))
        tasks: set[asyncio.Task[None]] = set()

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(proxy.forward(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_unix_server(accepted, f"{folder}/{_SOCKET}")
        try:
            yield proxy
        finally:
            server.close()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
