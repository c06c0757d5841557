"""Every file that a gateway opens for writing during a whole journey lies in a folder that the configuration names."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gateway.simulators.ehr import EhrSimulator
from gateway.wire.dimse import client
from gateway.wire.hl7.mllp_client import MllpClient
from tests.conftest import until
from tests.journey.messages import adt, orm
from tests.journey.test_study_arrival import sample
from tests.peers.dcmtk import findscu
from tests.peers.process import missing

_WRITES = re.compile(
    r'(?:openat|open|creat|rename|link|mkdir)\w*\((?:AT_FDCWD, )?"([^"]+)".*\b(?:O_WRONLY|O_RDWR|O_CREAT)\b'
)
_READY = re.compile(r"ready: HL7 ris (\d+), DICOM (\d+)")
HARMLESS = ("/dev/", "/proc/")


def written(trace: str) -> set[str]:
    """The files that a trace shows opened for writing."""
    lines = [line for line in trace.splitlines() if " = -1 " not in line]
    found = {match[1] for line in lines if (match := _WRITES.search(line))}
    return {one for one in found if not one.startswith(HARMLESS) and not one.endswith((".pyc", "__pycache__"))}


async def test_nothing_is_written_outside_of_the_folders_of_the_configuration(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        missing("strace", "apt-get install strace")
    data, spool = tmp_path / "data", tmp_path / "spool"
    data.mkdir()
    spool.mkdir()
    async with EhrSimulator() as ehr:
        settings = {
            "database": {"url": f"sqlite:///{data}/gateway.db"}, "http": {"port": 0}, "studies": {"quiet_seconds": 0.2},
            "dicom": {"port": 0, "temporary_folder": str(spool)}, "hl7": {"listeners": [{"name": "ris", "port": 0}]},
            "ehrs": [{"name": "ehr", "url": ehr.url}],
        }  # fmt: skip
        (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(settings))
        trace, out = tmp_path / "trace", tmp_path / "out"
        with out.open("wb") as output:
            process = subprocess.Popen(  # noqa: ASYNC220
                ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=open,openat,creat", "-o", str(trace),
                 sys.executable, "-m", "gateway", "run", "-c", "gateway.yaml"],
                cwd=tmp_path, stdout=output, stderr=output, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )  # fmt: skip
        try:
            await until(lambda: _READY.search(out.read_text()), seconds=120, what="a gateway that serves")
            ports = _READY.search(out.read_text())
            assert ports is not None
            async with MllpClient("127.0.0.1", int(ports[1])) as ris:
                assert b"MSA|AA" in await ris.send(adt("A08"))
                assert b"MSA|AA" in await ris.send(orm())
            await findscu(int(ports[2]), "AccessionNumber")
            large = sample()
            large.PatientComments = "x" * 3_000_000  # waits in the temporary folder
            await client.store(
                "127.0.0.1", int(ports[2]), [large], called_ae="GATEWAY", calling_ae="SCANNER", timeout=60
            )
            await until(lambda: ehr.resources("ImagingStudy"), what="the study at the EHR")
        finally:
            # To the gateway itself: strace may be waiting for it, and passes nothing on.
            for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGTERM)
            await until(lambda: process.poll() is not None, seconds=60, what="the end of the gateway")
        files = written(trace.read_text(errors="replace"))
    folders = (str(data), str(spool))
    assert any(one.endswith("gateway.db-wal") for one in files), "the trace sees what is written"
    assert {one for one in files if not one.startswith(folders)} == set()


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ('7 openat(AT_FDCWD, "/var/tmp/etilqs_1", O_RDWR|O_CREAT|O_EXCL, 0600) = 3', {"/var/tmp/etilqs_1"}),
        ('7 openat(AT_FDCWD, "/etc/hosts", O_RDONLY|O_CLOEXEC) = 3', set()),
        ('7 openat(AT_FDCWD, "/srv/x", O_WRONLY|O_CREAT, 0666) = -1 EACCES (Permission denied)', set()),
    ],
)
def test_the_trace_is_read(line: str, files: set[str]) -> None:
    assert written(line) == files
