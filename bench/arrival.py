"""S5: instances by DCMTK's storescu, to the gateway without and with pixels, to DCMTK's storescp and to Orthanc."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from bench import gateway_process
from bench.databases import POSTGRESQL, SQLITE, empty_database
from bench.dicom_peers import Server, running
from bench.figures import Report, Table, at_most
from bench.ports import free_port

ROWS = COLUMNS = 512
REST_SECONDS, QUIET_LOOKS, QUIET_CPU_SECONDS = 20.0, 5, 0.015
HEADERS, FORWARD, STORESCP, ORTHANC = "gateway, headers", "gateway, forward", "storescp", "Orthanc"
ON_POSTGRESQL = f"{HEADERS}, {POSTGRESQL}"
BESIDE = "other build, headers"
Serve = Callable[[Path], AbstractContextManager[Server | None]]


@dataclass(frozen=True)
class Load:
    """How storescu sends."""

    associations: int
    no_delay: bool

    def __str__(self) -> str:
        return f"{self.associations} x {'TCP_NODELAY' if self.no_delay else 'defaults'}"


LOADS = tuple(Load(associations, no_delay) for no_delay in (True, False) for associations in (1, 8))


@dataclass(frozen=True)
class Measured:
    seconds: float
    cpu_seconds: float
    memory: float
    """Largest PSS while it took instances, MiB."""


def run(*, instances: int, rounds: int, beside: Path | None = None) -> Report:
    """Each server takes the same instances from empty; medians of rounds that take turns. `beside`: the clone of
    another build, which keeps headers only."""
    servers = dict(SERVERS)
    if beside is not None:
        servers[BESIDE] = partial(other_build, build=beside.resolve())
    found: dict[tuple[str, Load], list[Measured]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for associations in {load.associations for load in LOADS}:
            _write(folder / str(associations), instances, associations)
        for load in LOADS:
            for number in range(rounds):
                for server, serve in servers.items():
                    one = _measured(serve, folder / f"{server}-{number}", folder / str(load.associations), load)
                    if one is not None:
                        found.setdefault((server, load), []).append(one)
    return _report(found, instances)


def _report(found: dict[tuple[str, Load], list[Measured]], instances: int) -> Report:
    rows = []
    for server in (*SERVERS, BESIDE):
        for load in LOADS:
            if measured := found.get((server, load)):
                seconds = statistics.median(one.seconds for one in measured)
                cpu = statistics.median(one.cpu_seconds for one in measured)
                rows.append((
                    server, str(load), f"{seconds:.2f}", f"{instances / seconds:,.0f}",
                    f"{cpu / instances * 1000:.2f}", f"{max(one.memory for one in measured):,.0f}",
                ))  # fmt: skip
    header = ("server", "associations", "s", "instances/s", "CPU ms each", "PSS MiB")
    table = Table(f"S5: {instances} CT of 0.5 MB by storescu", header, rows)
    targets = []
    for load in LOADS:
        for ours, theirs in ((HEADERS, STORESCP), (FORWARD, ORTHANC)):
            if (mine := found.get((ours, load))) and (other := found.get((theirs, load))):
                limit, got = (statistics.median(one.seconds for one in some) for some in (other, mine))
                targets.append(at_most(f"S5 {ours}, {load}, beside {theirs}", "s", limit, got))
    for ours in (HEADERS, FORWARD):
        for no_delay in (True, False):
            alone, together = (found.get((ours, Load(associations, no_delay))) for associations in (1, 8))
            if alone and together:
                limit, got = (statistics.median(one.seconds for one in some) for some in (alone, together))
                what = f"S5 {ours}, {Load(8, no_delay)}, 1.5 times the rate of 1"
                targets.append(at_most(what, "s", limit / 1.5, got))
    return Report([table], targets)


def _write(folder: Path, instances: int, folders: int) -> None:
    """CT instances of one study, in as many folders."""
    pixels = os.urandom(2 * ROWS * COLUMNS)
    for number in range(instances):
        path = folder / str(number % folders) / f"{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        instance(number, pixels).save_as(path, enforce_file_format=True)


def instance(number: int, pixels: bytes, frames: int = 1) -> Dataset:
    """A CT instance of the study 2.25.5."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, f"2.25.5.1.{number + 1}"
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID = "2.25.5", "2.25.5.1"
    made.PatientID, made.PatientName, made.Modality = "BENCH", "Bench^Arrival", "CT"
    made.StudyDate, made.AccessionNumber, made.InstanceNumber = "20301123", "A5", number + 1
    made.Rows, made.Columns, made.BitsAllocated, made.BitsStored, made.HighBit = ROWS, COLUMNS, 16, 12, 11
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    if frames > 1:
        made.NumberOfFrames = frames
    made.PixelData = pixels
    made["PixelData"].VR = "OW"
    return made


def _measured(serve: Serve, folder: Path, files: Path, load: Load) -> Measured | None:
    folder.mkdir()
    try:
        with serve(folder) as server:
            if server is None:
                return None
            cpu, memory, begun = server.cpu_seconds(), 0.0, time.monotonic()
            senders = [_storescu(server, one, load) for one in sorted(files.iterdir())]
            while any(sender.poll() is None for sender in senders):
                memory = max(memory, server.memory())
                time.sleep(0.05)
            seconds = time.monotonic() - begun
            if any(sender.returncode for sender in senders):
                raise RuntimeError(f"{server.name} refused an instance")
            return Measured(seconds, server.cpu_seconds() - cpu, memory)
    finally:
        shutil.rmtree(folder)


def _storescu(server: Server, files: Path, load: Load) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    if load.no_delay:
        environment["TCP_NODELAY"] = "1"
    return subprocess.Popen(
        ["storescu", "-aec", server.called_ae, "+sd", "127.0.0.1", str(server.port), str(files)],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@contextmanager
def gateway(folder: Path, storage: str, database: str = SQLITE) -> Iterator[Server]:
    """The gateway on an empty database."""
    with ExitStack() as stack:
        _, url = empty_database(stack, database, "s5")
        configuration = gateway_process.settings(url, quiet_seconds=600)
        spool = {"folder": str(folder / "spool"), "free_gb": 0}
        configuration["studies"] |= {"storage": storage, "spool": spool}
        one = stack.enter_context(gateway_process.running(folder, configuration))
        yield _rested(Server("gateway", one.dicom_port, one.pid))


@contextmanager
def other_build(folder: Path, build: Path) -> Iterator[Server]:
    """A gateway of another build, in the environment of its clone; without the keys that it may not know."""
    configuration = gateway_process.settings(f"sqlite:///{folder}/gateway.db", quiet_seconds=600)
    with gateway_process.running(folder, configuration, build=build) as one:
        yield _rested(Server(BESIDE, one.dicom_port, one.pid))


def _rested(server: Server) -> Server:
    """Once what is loaded beside the start has been loaded: it would count as work for instances."""
    deadline, before, quiet = time.monotonic() + REST_SECONDS, 0.0, 0
    while quiet < QUIET_LOOKS and time.monotonic() < deadline:
        time.sleep(0.1)
        now = server.cpu_seconds()
        before, quiet = now, quiet + 1 if now - before < QUIET_CPU_SECONDS else 0
    return server


@contextmanager
def storescp(folder: Path) -> Iterator[Server | None]:
    """DCMTK's server, which writes files and forces none; a process for each association."""
    with running(STORESCP, ("storescp", "--fork", "-od", str(folder)), STORESCP.upper()) as server:
        yield server


@contextmanager
def orthanc(folder: Path) -> Iterator[Server | None]:
    program = shutil.which("Orthanc", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        yield None
        return
    port = free_port()
    settings = {
        "Name": "bench", "StorageDirectory": str(folder), "IndexDirectory": str(folder), "HttpPort": free_port(),
        "DicomPort": port, "DicomAet": "ORTHANC", "RemoteAccessAllowed": False, "DicomAlwaysAllowStore": True,
        "DicomThreadsCount": 50,
    }  # fmt: skip
    file = folder / "orthanc.json"
    file.write_text(json.dumps(settings), encoding="utf-8")
    with running(ORTHANC, (program, str(file)), "ORTHANC", port) as server:
        yield server


SERVERS: dict[str, Serve] = {
    STORESCP: storescp, ORTHANC: orthanc, HEADERS: partial(gateway, storage="headers"),
    FORWARD: partial(gateway, storage="forward"),
    ON_POSTGRESQL: partial(gateway, storage="headers", database=POSTGRESQL),
}  # fmt: skip
