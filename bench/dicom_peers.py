"""DICOM servers beside the gateway, each in processes of its own, with the same worklist items."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from bench.dicom_client import WORKLIST
from bench.ports import free_port

START_SECONDS = 30.0
MOST_ASSOCIATIONS = 600
"""What each of them is allowed to hold at once, where that can be said."""
CANNED = "canned answers"
_TICKS = os.sysconf("SC_CLK_TCK")
_PLUGIN = Path("/usr/share/orthanc/plugins/libModalityWorklists.so")


@dataclass(frozen=True)
class Server:
    name: str
    port: int
    pid: int
    called_ae: str = "GATEWAY"

    def cpu_seconds(self) -> float:
        """User and system time of the process and its children so far, those that have ended among them."""
        return sum(map(_cpu, _family(self.pid)))

    def memory(self) -> float:
        """Resident memory of the process and its children, MiB; what they share counts once (PSS)."""
        return sum(map(_pss, _family(self.pid)))


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in _family(int(child)))]


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS  # its own, then that of children it has waited for


def _pss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def write_items(folder: Path, items: Sequence[Dataset]) -> None:
    """As the files that wlmscpfs and Orthanc serve."""
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    for number, item in enumerate(items):
        item.file_meta = FileMetaDataset()
        item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        item.file_meta.MediaStorageSOPClassUID = UID(WORKLIST)
        item.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.{number + 1}")
        item.save_as(folder / f"{number:05d}.wl", enforce_file_format=True)


@contextmanager
def wlmscpfs(folder: Path) -> Iterator[Server | None]:
    """DCMTK's server over the parent of a folder, which is the AE title."""
    command = ("wlmscpfs", "-dfr", "-dfp", str(folder.parent), "--max-associations", str(MOST_ASSOCIATIONS))
    with running("wlmscpfs", command, folder.name) as server:
        yield server


@contextmanager
def orthanc(folder: Path) -> Iterator[Server | None]:
    program = shutil.which("Orthanc", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or not _PLUGIN.exists():
        yield None
        return
    port, http = free_port(), free_port()
    settings = {
        "Name": "bench", "StorageDirectory": str(folder.parent / "orthanc"), "HttpPort": http, "DicomPort": port,
        "IndexDirectory": str(folder.parent / "orthanc"), "DicomAet": "ORTHANC", "Plugins": [str(_PLUGIN)],
        "Worklists": {"Enable": True, "Database": str(folder), "LimitAnswers": 0}, "LimitFindResults": 0,
        "DicomAlwaysAllowFindWorklist": True, "RemoteAccessAllowed": False, "DicomThreadsCount": 50,
    }  # fmt: skip
    file = folder.parent / "orthanc.json"
    file.write_text(json.dumps(settings), encoding="utf-8")
    with running("Orthanc", (program, str(file)), "ORTHANC", port) as server:
        yield server


_PYNETDICOM = """
import sys
from pathlib import Path
from pydicom import dcmread
from pynetdicom import AE, evt
from pynetdicom.sop_class import ModalityWorklistInformationFind, Verification
items = [dcmread(path) for path in sorted(Path(sys.argv[1]).glob("*.wl"))]
for item in items:
    del item.file_meta
entity = AE(ae_title="PYNETDICOM")
entity.maximum_associations = int(sys.argv[2])
entity.add_supported_context(Verification, "1.2.840.10008.1.2.1")
entity.add_supported_context(ModalityWorklistInformationFind, "1.2.840.10008.1.2.1")
def find(event):
    for item in items:
        yield 0xFF00, item
entity.start_server(("127.0.0.1", int(sys.argv[3])), evt_handlers=[(evt.EVT_C_FIND, find)])
"""


@contextmanager
def pynetdicom(folder: Path) -> Iterator[Server | None]:
    """pynetdicom's server as it is, which answers every item without looking at the question."""
    command = (sys.executable, "-c", _PYNETDICOM, str(folder), str(MOST_ASSOCIATIONS))
    with running("pynetdicom", command, "PYNETDICOM") as server:
        yield server


@contextmanager
def canned(folder: Path) -> Iterator[Server | None]:
    """Answers made beforehand, sent without a look at the question: what the callers can do at most."""
    with running(CANNED, (sys.executable, "-m", "bench.canned", str(folder)), "CANNED") as server:
        yield server


PEERS = {"wlmscpfs": wlmscpfs, "Orthanc": orthanc, "pynetdicom": pynetdicom, CANNED: canned}


@contextmanager
def running(name: str, command: Sequence[str], called_ae: str, port: int = 0) -> Iterator[Server | None]:
    """A server until the context ends; None when the program is not installed. Its port is the last argument unless it
    is given otherwise."""
    if shutil.which(command[0]) is None:
        yield None
        return
    listening = port or free_port()
    process = subprocess.Popen(
        [*command, *([] if port else [str(listening)])],
        env={**os.environ, "TCP_NODELAY": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(listening, process, name)
        yield Server(name, listening, process.pid, called_ae)
    finally:
        process.kill()
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes], name: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{name} did not start (exit code {process.returncode})")
        time.sleep(0.05)
