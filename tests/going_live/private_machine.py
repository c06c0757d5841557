"""A systemd of its own in namespaces of its own (`private_systemd.sh`), in which commands are run."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.process import Completed, missing, run

SCRIPT = Path(__file__).with_name("private_systemd.sh")
NAMESPACES = ("--pid", "--fork", "--mount", "--uts", "--ipc", "--cgroup", "--mount-proc", "--kill-child")


@dataclass(frozen=True)
class Machine:
    """`folder` is seen as /mnt by its commands."""

    pid: int
    folder: Path

    async def sh(self, script: str, *, timeout: float = 300.0) -> Completed:
        """Run a script of the shell, which ends at the first command that fails."""
        enter = ("nsenter", "-t", str(self.pid), "-p", "-m", "-u", "-i", "-C")
        return await run(*enter, "/bin/sh", "-ec", script, timeout=timeout)

    async def must(self, script: str, *, timeout: float = 300.0) -> str:
        """What a script prints; it has to succeed."""
        done = await self.sh(script, timeout=timeout)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@asynccontextmanager
async def private_machine(folder: Path) -> AsyncIterator[Machine]:
    """Serve while the context is open; skips where namespaces and systemd cannot be had."""
    if os.geteuid() != 0 or not Path("/lib/systemd/systemd").exists() or not shutil.which("nsenter"):
        missing("systemd (as root)", "apt-get install -y systemd util-linux python3-venv")
    with (folder / "systemd.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "unshare", *NAMESPACES, str(SCRIPT), str(folder), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield Machine(await _pid_in(process, folder), folder)
    finally:
        # Its first process ends with it, and all others with that.
        process.send_signal(signal.SIGKILL)
        await process.wait()


async def _pid_in(process: asyncio.subprocess.Process, folder: Path) -> int:
    """The first process of the machine, once systemd is up."""
    async with asyncio.timeout(120):
        while process.returncode is None:
            children = await run("pgrep", "-P", str(process.pid))
            if pid := children.stdout.strip():
                machine = Machine(int(pid), folder)
                state = await machine.sh("systemctl is-system-running")
                if state.stdout.strip() in ("running", "degraded"):
                    return machine.pid
            await asyncio.sleep(0.1)
    pytest.skip(f"no namespaces here: {(folder / 'systemd.log').read_text(encoding='utf-8')[-300:]}")
