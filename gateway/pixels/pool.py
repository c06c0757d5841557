"""Work on pixels in processes of their own: a codec that crashes, hangs or eats memory takes nothing else with it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Final

from gateway.pixels.faults import CodecDied
from gateway.pixels.targets import part_of
from gateway.records.correction import Correction, Modification

WORKERS: Final = 2
MOST_BYTES: Final = 3 << 30
"""Address space of a worker, libraries included."""
PREVIEW_SECONDS: Final = 15.0
FILE_SECONDS: Final = 600.0
"""For an instance that is decoded or compressed as a whole."""
_PASSED: Final = frozenset({"PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV"})


class _Worker:
    def __init__(self, most_bytes: int) -> None:
        self._connection, theirs = Pipe()
        with theirs:
            command = [sys.executable, "-P", "-m", "gateway.pixels.worker", str(theirs.fileno()), str(most_bytes)]
            # One thread each: the pool has as many workers as may work at once, and the memory of threads counts.
            environment = _environment() | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def answer(self, task: str, arguments: tuple[Any, ...], seconds: float) -> Any:
        """Raises `CodecDied` when no answer comes; the worker is over then."""
        try:
            self._connection.send((task, arguments))
            if self._connection.poll(seconds):
                return self._connection.recv()
        except (EOFError, OSError) as error:
            code = self._process.wait()
            raise CodecDied(f"the process that reads pixels ended with code {code}", place="PixelData") from error
        raise CodecDied(f"the pixels took longer than {seconds:g} seconds", place="PixelData")

    def kill(self) -> None:
        """Whoever waits for an answer learns that it is over."""
        self._process.kill()

    def end(self) -> None:
        """Kills the process and forgets it."""
        self._process.kill()
        self._process.wait()
        self._connection.close()


def _environment() -> dict[str, str]:
    """Without what a codec has no use for: settings of the gateway may be passwords."""
    return {name: value for name, value in os.environ.items() if name in _PASSED or name.startswith("PYTHON")}


class Pool:
    """At most `workers` processes, started when they are needed first. To be used as a context or closed."""

    def __init__(self, workers: int = WORKERS, most_bytes: int = MOST_BYTES) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="pixels")
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._all: set[_Worker] = set()
        self._closed = False
        self._most_bytes = most_bytes

    async def preview(self, path: Path) -> bytes:
        """See `preview.preview`; raises `PixelFault` and, when the file cannot be opened, `OSError`."""
        encoded: bytes = await self._run("preview", (path,), PREVIEW_SECONDS)
        return encoded

    async def decoded(self, source: Path, target: Path, syntax: str) -> None:
        """See `decoding.decoded`; what a worker leaves behind that died is removed."""
        await self._file("decoded", source, target, syntax)

    async def compressed(self, source: Path, target: Path, method: str) -> None:
        """See `compressing.compressed`; what a worker leaves behind that died is removed."""
        await self._file("compressed", source, target, method)

    async def corrected(
        self, source: Path, target: Path, corrections: Sequence[Correction], modification: Modification
    ) -> list[str]:
        """See `correcting.corrected`; what a worker leaves behind that died is removed."""
        remarks: list[str] = await self._file("corrected", source, target, corrections, modification)
        return remarks

    async def _file(self, task: str, source: Path, target: Path, *how: object) -> Any:
        try:
            return await self._run(task, (source, target, *how), FILE_SECONDS)
        except CodecDied:
            await asyncio.to_thread(part_of(target).unlink, missing_ok=True)
            raise

    async def _run(self, task: str, arguments: tuple[Any, ...], seconds: float) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._answer, task, arguments, seconds)

    def _answer(self, task: str, arguments: tuple[Any, ...], seconds: float) -> Any:
        try:
            worker = self._idle.get_nowait()
        except Empty:
            worker = _Worker(self._most_bytes)
            self._all.add(worker)
        try:
            if self._closed:
                raise CodecDied("the gateway stops", place="PixelData")
            answer = worker.answer(task, arguments, seconds)
        except BaseException:
            self._all.discard(worker)
            worker.end()
            raise
        self._idle.put(worker)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        """Ends the processes, with the tasks at hand: these raise `CodecDied`."""
        self._closed = True
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        for worker in list(self._all):
            worker.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in list(self._all):
            worker.end()

    async def __aenter__(self) -> Pool:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()
