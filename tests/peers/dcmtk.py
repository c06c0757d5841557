"""DCMTK: echoscu, findscu and storescu as users of a service, wlmscpfs and storescp as providers."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from bench.ports import free_port
from tests.peers.process import DEBIAN, NO_DELAY, Completed, accepts, end, found, run, wait_until


@dataclass(frozen=True)
class Found:
    """What findscu got: the identifiers of the pending responses, and the final status as DCMTK words it."""

    items: list[Dataset]
    status: str
    output: str


def dcmtk(name: str) -> Path:
    """Where one of DCMTK's programs is; skips or fails when it is not installed."""
    return found(name, DEBIAN)


async def echoscu(
    port: int, *, called_ae: str = "GATEWAY", calling_ae: str = "DCMTK", options: tuple[str, ...] = ()
) -> Completed:
    return await run(dcmtk("echoscu"), *options, *_titles(called_ae, calling_ae), *_address(port), env=NO_DELAY)


async def findscu(
    port: int,
    *keys: str,
    called_ae: str = "GATEWAY",
    calling_ae: str = "DCMTK",
    options: tuple[str, ...] = ("-W",),
    query_file: Path | None = None,
) -> Found:
    """A query of the Modality Worklist model; keys in DCMTK's words: `PatientID=1`,
    `ScheduledProcedureStepSequence[0].Modality=CT`, `PatientName` for a key that is only to be returned.
    """
    with tempfile.TemporaryDirectory() as directory:
        command: list[str | Path] = [dcmtk("findscu"), "-v", *options, *_titles(called_ae, calling_ae)]
        for key in keys:
            command += ["-k", key]
        command += ["-X", "-od", directory, *_address(port)]
        done = await run(*command, *([query_file] if query_file else []), env=NO_DELAY)
        items = _extracted(Path(directory))
    output = done.stdout + done.stderr
    final = re.findall(r"Received Final Find Response \((.*)\)", output)
    return Found(items, final[-1] if final else f"no final response (exit code {done.returncode})", output)


async def storescu(
    port: int,
    *paths: Path,
    called_ae: str = "GATEWAY",
    calling_ae: str = "DCMTK",
    options: tuple[str, ...] = (),
    timeout: float = 120.0,
) -> Completed:
    """Store files and, recursively, the files of directories. Exit code 0: every one was answered with Success."""
    command: list[str | Path] = [dcmtk("storescu"), "-v", "+sd", "+r", *options, *_titles(called_ae, calling_ae)]
    return await run(*command, *_address(port), *paths, env=NO_DELAY, timeout=timeout)


def _extracted(directory: Path) -> list[Dataset]:
    items: list[Dataset] = []
    for path in sorted(directory.glob("rsp*.dcm")):
        item = dcmread(path, force=True)
        item.walk(lambda _dataset, _element: None)  # reads every element while the file exists
        items.append(item)
    return items


def _titles(called_ae: str, calling_ae: str) -> tuple[str, ...]:
    return ("-aec", called_ae, "-aet", calling_ae)


def _address(port: int) -> tuple[str, str]:
    return ("127.0.0.1", str(port))


@contextmanager
def wlmscpfs(items: Iterable[Dataset], *, ae_title: str = "WORKLIST") -> Iterator[int]:
    """DCMTK's worklist server with these items; the port on which it answers as `ae_title`."""
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory) / ae_title
        folder.mkdir()
        (folder / "lockfile").touch()
        for number, item in enumerate(items):
            item.save_as(folder / f"{number}.wl", implicit_vr=False, little_endian=True, enforce_file_format=True)
        with _listening(dcmtk("wlmscpfs"), "-csk", "-dfp", directory) as port:
            yield port


@contextmanager
def storescp(directory: Path, *options: str, port: int = 0) -> Iterator[int]:
    """DCMTK's storage server, which writes what it gets into `directory`, byte for byte; its port (0: a free one)."""
    with _listening(dcmtk("storescp"), "-od", directory, "+B", *options, port=port) as port:
        yield port


@contextmanager
def _listening(*command: str | Path, port: int = 0) -> Iterator[int]:
    port = port or free_port()
    process = subprocess.Popen(
        [*command, str(port)],
        env={**os.environ, **NO_DELAY},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: accepts(port), process, str(command[0]), 120)
        yield port
    finally:
        end(process)
