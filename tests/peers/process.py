"""Running the programs of others: find, start, wait, end."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

DEBIAN = "apt-get install -y dcmtk orthanc orthanc-dicomweb openssl faketime pgbouncer"
"""The command (for root) that installs the peers which are Debian packages."""
NO_DELAY = {"TCP_NODELAY": "1"}
"""Without it programs built on DCMTK (Orthanc too) lose 40 ms between the segments that they send."""


@dataclass(frozen=True)
class Completed:
    returncode: int
    stdout: str
    stderr: str


def missing(peer: str, cure: str) -> NoReturn:
    """A peer is not installed: a failure where CI=true, else a skip; both name the command that installs it."""
    said = f"{peer} is not installed; run: {cure}"
    if os.environ.get("CI") == "true":
        pytest.fail(said, pytrace=False)
    pytest.skip(said)


def found(program: str, cure: str) -> Path:
    """Where a program is; `missing` when it is nowhere. Daemons stand in /usr/sbin, which may not be in PATH."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    return Path(path) if path else missing(program, cure)


def accepts(port: int) -> bool:
    """Whether somebody listens on a port of the loopback address."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def run(*command: str | Path, timeout: float = 300.0, env: Mapping[str, str | None] | None = None) -> Completed:
    """Run to the end without blocking the event loop; `timeout` in seconds, after which it is killed.

    `env` is added to the environment; None takes a variable out of it.
    """
    environment = {**os.environ, **(env or {})}
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in environment.items() if value is not None},
    )
    try:
        async with asyncio.timeout(timeout):
            stdout, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Completed(process.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace"))


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], what: str, seconds: float) -> None:
    """Wait for a program that has just been started; fails when it ends, or is not ready in time."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None:
            pytest.fail(f"{what} ended with exit code {process.returncode} before it was ready", pytrace=False)
        if time.monotonic() > deadline:
            pytest.fail(f"{what} was not ready after {seconds:.0f} s", pytrace=False)
        time.sleep(0.05)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask to end, and kill what does not within a minute."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
