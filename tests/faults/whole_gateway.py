"""`gateway run` as an operator starts it: a process of its own that can be paused, killed and misled about the time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.ports import free_port
from tests.conftest import until
from tests.peers.process import end

START_SECONDS = 180.0


class WholeGateway:
    """One gateway in `folder`, on ports that it keeps: `hl7`, `dicom`, `http`.

    `settings` is laid over its gateway.yaml; `environment` is added to the process's own; `prefix` is a command that
    runs it, such as `prlimit`.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str,
        settings: Mapping[str, Any],
        environment: Mapping[str, str],
        prefix: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.hl7, self.dicom, self.http = free_port(), free_port(), free_port()
        self.folder = folder
        self._log = folder / "log"
        self._log.touch()
        self._environment = environment
        self._prefix = prefix
        self._process: subprocess.Popen[bytes] | None = None
        configured: dict[str, Any] = {
            "database": {"url": database_url},
            "hl7": {"listeners": [{"name": "ris", "port": self.hl7}]},
            "dicom": {"port": self.dicom},
            "http": {"port": self.http},
        }
        for section, values in settings.items():
            is_section = isinstance(values, Mapping) and section in configured
            configured[section] = {**configured[section], **values} if is_section else values
        (folder / "gateway.yaml").write_text(json.dumps(configured), encoding="utf-8")

    @property
    def log(self) -> str:
        """What it has written to standard output and standard error, over all its starts."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it has not been started"
        return self._process

    async def start(self) -> None:
        """Start it and wait until it serves; fails with its log if it ends instead."""
        begun = len(self.log)
        process = self._process = self._started()
        await until(
            lambda: "\nready" in "\n" + self.log[begun:] or process.poll() is not None,
            seconds=START_SECONDS, what="the start of the gateway",
        )  # fmt: skip
        if process.poll() is not None:
            pytest.fail(f"the gateway did not start: {self.log[begun:]}")

    def _started(self) -> subprocess.Popen[bytes]:
        command = [*self._prefix, sys.executable, "-m", "tests.faults.program", "run", "-c", "gateway.yaml"]
        environment = {**os.environ, **self._environment}
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """SIGKILL, also of a paused one."""
        self.process.kill()
        await until(lambda: self.process.poll() is not None, what="the end of the gateway")

    def stop(self) -> None:
        """Ask it to end, if it still runs; paused or not."""
        if self._process is not None and self._process.poll() is None:
            self.resume()
            end(self._process)


@asynccontextmanager
async def running(
    folder: Path,
    database_url: str,
    settings: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> AsyncIterator[WholeGateway]:
    """A gateway that serves, stopped afterwards."""
    gateway = WholeGateway(folder, database_url, settings or {}, environment or {}, prefix)
    try:
        await gateway.start()
        yield gateway
    finally:
        gateway.stop()
