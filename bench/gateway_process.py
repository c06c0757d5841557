"""The gateway in a process of its own, as `gateway run` starts it, on free ports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 60.0
_READY = re.compile(r"ready: HL7 ris (\d+), DICOM (\d+), console http://[^/]*:(\d+)/")
_TICKS = os.sysconf("SC_CLK_TCK")
MEBI = 1024 * 1024


@dataclass(frozen=True)
class Gateway:
    pid: int
    hl7_port: int
    dicom_port: int
    http_port: int
    serving: tuple[int, ...] = ()
    """The processes that serve, where they are several: the first only watches over them."""

    def cpu_seconds(self) -> float:
        """User and system time so far of all its threads; with `--processes` of all that serve."""
        return sum(self.cpu_of_each())

    def cpu_of_each(self) -> list[float]:
        """User and system time of each process that serves."""
        return [_cpu_seconds(pid) for pid in self.serving or (self.pid,)]

    def rss(self) -> float:
        """Resident memory, MiB."""
        return memory(self.pid)[0]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _children(pid: int) -> tuple[int, ...]:
    return tuple(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()))


def memory(pid: int | str = "self") -> tuple[float, float]:
    """(resident now, resident at most so far) of a process, MiB; proc(5), status."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return sizes["VmRSS"], sizes["VmHWM"]


def reset_peak() -> None:
    """Let the peak of this process's memory begin anew; proc(5), clear_refs."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def settings(database_url: str, *ehr_urls: str, quiet_seconds: float = 0.5) -> dict[str, Any]:
    """A configuration on free ports that says nothing but what goes wrong."""
    return {
        "site": {
            "name": "Benchmark", "patient_id_issuer": "RIS",
            "identifier_systems": {"RIS": "urn:oid:2.25.1", "IMAGING": "urn:oid:2.25.2"},
        },
        "database": {"url": database_url},
        "hl7": {"listeners": [{"name": "ris", "port": 0}]},
        "dicom": {"port": 0},
        "studies": {"quiet_seconds": quiet_seconds},
        "ehrs": [{"name": f"ehr{number}", "url": url} for number, url in enumerate(ehr_urls)],
        "http": {"port": 0},
        "log": {"level": "warning"},
    }  # fmt: skip


@contextmanager
def running(
    folder: Path,
    configuration: dict[str, Any],
    *,
    profile: Path | None = None,
    build: Path | None = None,
    processes: int = 1,
) -> Iterator[Gateway]:
    """Serve while the context is open; with `profile`, under `bench.profiled`, whose findings go to that folder.

    `build`: the clone of another build, which serves with what is installed in its `.venv`.
    """
    file, errors = folder / "gateway.yaml", folder / "gateway.err"
    file.write_text(json.dumps(configuration), encoding="utf-8")
    python = sys.executable if build is None else str(build / ".venv/bin/python")
    options = [] if processes == 1 else ["--processes", str(processes)]
    start = ["-m", "gateway"] if profile is None else ["-m", "bench.profiled", str(profile)]
    with errors.open("wb") as log:
        process = subprocess.Popen(
            [python, *start, "run", "-c", str(file), *options], cwd=build, stdout=subprocess.PIPE, stderr=log, text=True
        )
    alarm = threading.Timer(START_SECONDS, process.kill)
    alarm.start()
    try:
        assert process.stdout is not None
        ready = next((found for line in process.stdout if (found := _READY.match(line))), None)
        if ready is None:
            raise RuntimeError(f"the gateway did not start: {errors.read_text(encoding='utf-8')[-2000:]}")
        alarm.cancel()
        hl7, dicom, http = map(int, ready.groups())
        serving = () if processes == 1 else _children(process.pid)
        yield Gateway(process.pid, hl7, dicom, http, serving)
    finally:
        alarm.cancel()
        process.terminate()
        try:
            process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
