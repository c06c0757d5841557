"""One gateway of a night: a process on fixed ports that a service manager would start again when it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from bench import gateway_process
from bench.ports import free_port

RESTART_SECONDS: Final = 2.0
CLOCK_LIBRARIES: Final = (
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"),
)


class Node:
    """`keep` it running beside the night; what it logs stands in `log`."""

    def __init__(self, name: str, folder: Path, database_url: str, ehr_url: str) -> None:
        self.name = name
        self.hl7, self.dicom, self.http = (free_port() for _ in range(3))
        self.configuration = folder / f"{name}.yaml"
        self.log = folder / f"{name}.log"
        self.ends: list[int] = []
        """Exit codes so far."""
        self._clock = folder / f"{name}.clock"
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = True
        self._ready = asyncio.Event()
        settings = gateway_process.settings(database_url, ehr_url, quiet_seconds=2.0)
        settings["hl7"]["listeners"][0]["port"] = self.hl7
        settings["dicom"] |= {"port": self.dicom, "max_worklist_matches": 100_000}
        settings["http"]["port"] = self.http
        # As a site sets it whose EHR comes back empty: else each study that is sent anew waits for a person.
        settings["ehrs"][0]["when_deleted"] = "recreate"
        self.configuration.write_text(json.dumps(settings), encoding="utf-8")
        self.log.touch()
        self.set_clock("+0")

    def set_clock(self, offset: str) -> None:
        """Let its clock be wrong by `offset`, such as -3600s; its monotonic clock is right."""
        self._clock.write_text(f"{offset}\n", encoding="ascii")

    def _environment(self) -> dict[str, str]:
        libraries = [str(library) for library in CLOCK_LIBRARIES if library.exists()]
        if not libraries:
            return dict(os.environ)
        return {
            **os.environ, "LD_PRELOAD": libraries[0], "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip

    async def keep(self) -> None:
        """Start it, and start it again whenever it ends, until cancelled."""
        try:
            while True:
                if self._wanted:
                    await self._serve()
                await asyncio.sleep(RESTART_SECONDS)
        finally:
            await self._stop()

    async def _serve(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway", "run", "-c", str(self.configuration),
                stdout=asyncio.subprocess.PIPE, stderr=log, env=self._environment(),
            )  # fmt: skip
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            if line.startswith(b"ready"):
                self._ready.set()
        self._ready.clear()
        self.ends.append(await self._process.wait())

    async def ready(self, seconds: float = gateway_process.START_SECONDS) -> None:
        """Wait until it serves."""
        async with asyncio.timeout(seconds):
            await self._ready.wait()

    def signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def _stop(self) -> None:
        process, self._wanted = self._process, False
        if process is None or process.returncode is not None:
            return
        self.signal(signal.SIGCONT)
        process.terminate()
        try:
            async with asyncio.timeout(gateway_process.START_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def logged(node: Node, since: int) -> tuple[list[str], int]:
    """The lines of its log after the byte `since`, and where they end."""
    with node.log.open("rb") as file:
        file.seek(since)
        data = file.read()
    return data.decode(errors="replace").splitlines(), since + len(data)


def settings_of(node: Node) -> dict[str, Any]:
    """Its configuration."""
    read: dict[str, Any] = json.loads(node.configuration.read_text(encoding="utf-8"))
    return read
