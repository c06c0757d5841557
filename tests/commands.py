"""The gateway's commands in processes of their own, forked from one in which the gateway's modules are loaded.

To load them takes a command a second of CPU. `tests/cli` starts each group of commands afresh once, as a person does.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import until
from tests.peers.process import Completed

START_SECONDS = 120.0
END_SECONDS = 120.0

FORKS = multiprocessing.get_context("forkserver")
"""Makes processes by forking one in which the modules of the gateway are loaded."""
FORKS.set_forkserver_preload(["tests.loaded_gateway", __name__])


class Command:
    """A command that was started; `output` and `errors` are what it has written so far. `prepare` is called in its
    process before it begins."""

    def __init__(
        self,
        arguments: tuple[str | Path, ...],
        folder: Path,
        env: Mapping[str, str],
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._files = Path(tempfile.mkdtemp(prefix="gateway-command-"))
        for name in ("out", "err"):
            (self._files / name).touch()
        environment = {**os.environ, **env}
        self._process = FORKS.Process(
            target=_main, args=(tuple(map(str, arguments)), folder, environment, self._files, prepare), daemon=True
        )
        self._process.start()

    @property
    def output(self) -> str:
        return (self._files / "out").read_text(encoding="utf-8", errors="replace")

    @property
    def errors(self) -> str:
        return (self._files / "err").read_text(encoding="utf-8", errors="replace")

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    async def ended(self) -> int:
        """The exit code, once it has ended; minus the signal's number if a signal ended it."""
        await until(lambda: not self.is_alive, seconds=END_SECONDS, what=f"the end of a command ({self.output})")
        assert self._process.exitcode is not None
        return self._process.exitcode

    async def end(self) -> None:
        """Ask to end, if it still runs, and forget what it has written."""
        if self.is_alive:
            self._process.terminate()
            await self.ended()
        shutil.rmtree(self._files, ignore_errors=True)


def _main(
    arguments: tuple[str, ...],
    folder: Path,
    environment: Mapping[str, str],
    files: Path,
    prepare: Callable[[], None] | None,
) -> None:
    """In the new process: what `gateway ARGUMENTS` does in `folder`."""
    from gateway.cli import main

    for number, name in ((1, "out"), (2, "err")):
        descriptor = os.open(files / name, os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["gateway", *arguments]
    if prepare is not None:
        prepare()
    try:
        main()
    finally:
        logging.shutdown()  # a forked process that ends does not do what the interpreter does at its end


def has_ended(command: Command, *, but_asks_for: int) -> bool:
    """Whether a command has ended; a signal is sent to what has not."""
    if command.is_alive:
        with suppress(ProcessLookupError):  # it has ended since
            command.signal(but_asks_for)
    return not command.is_alive


async def gateway(*arguments: str | Path, folder: Path, env: Mapping[str, str] | None = None) -> Completed:
    """`gateway ARGUMENTS` in `folder`, to its end. `env` is added to the environment."""
    command = Command(arguments, folder, env or {})
    try:
        return Completed(await command.ended(), command.output, command.errors)
    finally:
        await command.end()


@asynccontextmanager
async def served(folder: Path, *options: str | Path) -> AsyncIterator[Command]:
    """`gateway run` in `folder`, once it is ready; it is asked to end if it still runs."""
    command = Command(("run", *options), folder, {})
    try:
        await ready(command)
        yield command
    finally:
        await command.end()


async def ready(command: Command) -> None:
    """Wait until `gateway run` serves; fail with its errors if it ends instead."""
    await until(lambda: "\n" in command.output or not command.is_alive, seconds=START_SECONDS, what="ready")
    if not command.output.startswith("ready"):
        pytest.fail(f"it did not start: {command.output}{command.errors}")
