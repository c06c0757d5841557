"""STOW-RS: instances in requests of one and of many, to the gateway and to Orthanc's DICOMweb plugin; and what memory
the gateway takes for very many instances and for a very large one."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

from bench import gateway_process
from bench.arrival import COLUMNS, ROWS, instance
from bench.dicom_peers import Server, running
from bench.figures import Report, Table, at_least, at_most
from bench.ports import free_port

PLUGIN: Final = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
BOUNDARY: Final = "bench"
CONTENT_TYPE: Final = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
HEAD: Final = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
END: Final = f"--{BOUNDARY}--\r\n".encode()
CLIENTS: Final = 8
BATCHES: Final = (1, 25)
GROWTH_MIB: Final = 64.0
"""What the gateway may grow by, whatever comes."""
HEADERS, FORWARD, ORTHANC = "gateway, headers", "gateway, forward", "Orthanc"


class Origin(NamedTuple):
    """An origin server."""

    port: int
    path: str
    pid: int


class Measured(NamedTuple):
    seconds: float
    cpu_seconds: float


Serve = Callable[[Path], AbstractContextManager[Origin | None]]


def rates(*, instances: int, rounds: int) -> Report:
    """Each server takes the same instances from empty; medians of rounds that take turns."""
    pixels = os.urandom(2 * ROWS * COLUMNS)
    files = [file_of(number, pixels) for number in range(instances)]
    found: dict[tuple[str, int], list[Measured]] = {}
    for batch in BATCHES:
        bodies = [body(files[at : at + batch]) for at in range(0, instances, batch)]
        for _ in range(rounds):
            for name, serve in SERVERS.items():
                with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as origin:
                    if origin is not None:
                        found.setdefault((name, batch), []).append(_measured(origin, bodies))
    rows, targets = [], []
    for (name, batch), measured in found.items():
        seconds = statistics.median(one.seconds for one in measured)
        cpu = statistics.median(one.cpu_seconds for one in measured) / instances * 1000
        rows.append((name, str(batch), f"{seconds:.2f}", f"{instances / seconds:,.0f}", f"{cpu:.2f}"))
    for batch in BATCHES:
        if (ours := found.get((FORWARD, batch))) and (theirs := found.get((ORTHANC, batch))):
            got, limit = (instances / statistics.median(one.seconds for one in some) for some in (ours, theirs))
            targets.append(at_least(f"STOW {FORWARD}, {batch} a request, beside {ORTHANC}", "1/s", limit, got))
    title = f"STOW: {instances} CT of 0.5 MB from {CLIENTS} clients"
    return Report([Table(title, ("server", "instances a request", "s", "instances/s", "CPU ms each"), rows)], targets)


def memory(*, instances: int, gigabytes: float) -> Report:
    """The most anonymous memory of the gateway while instances come in requests of 100, and while a large one does."""
    rows, targets = [], []
    small = bytes(1024)
    for storage in ("headers", "forward"):
        with tempfile.TemporaryDirectory() as folder, _gateway(Path(folder), storage) as origin:
            for what, work in (
                (f"{instances:,} instances", partial(_many, origin, instances, small)),
                (f"an instance of {gigabytes:g} GB", partial(_large, origin, round(gigabytes * 10**9))),
            ):
                with _watched(origin.pid) as seen:
                    begun = time.monotonic()
                    work()
                    seconds = time.monotonic() - begun
                growth = seen.most - seen.before
                rows.append((storage, what, f"{seconds:.1f}", f"{seen.before:.0f}", f"{seen.most:.0f}"))
                targets.append(at_most(f"STOW {storage}, {what}: growth", "MiB", GROWTH_MIB, growth))
    header = ("storage", "what comes", "s", "MiB before", "MiB at most")
    return Report([Table("STOW: anonymous memory of the gateway", header, rows)], targets)


def file_of(number: int, pixels: bytes) -> bytes:
    """An instance in the DICOM File Format."""
    written = BytesIO()
    instance(number, pixels).save_as(written, enforce_file_format=True)
    return written.getvalue()


def body(files: Iterable[bytes]) -> bytes:
    return b"".join(HEAD + file + b"\r\n" for file in files) + END


def _measured(origin: Origin, bodies: Sequence[bytes]) -> Measured:
    server, begun = Server("", origin.port, origin.pid), time.monotonic()
    cpu = server.cpu_seconds()
    with ThreadPoolExecutor(CLIENTS) as clients:
        for done in [clients.submit(_client, origin, bodies[at::CLIENTS]) for at in range(CLIENTS)]:
            done.result()
    return Measured(time.monotonic() - begun, server.cpu_seconds() - cpu)


def _client(origin: Origin, bodies: Sequence[bytes]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", origin.port, timeout=120)
    for one in bodies:
        _post(connection, origin, one, len(one))
    connection.close()


def _post(connection: http.client.HTTPConnection, origin: Origin, sent: bytes | Iterable[bytes], length: int) -> None:
    headers = {"Content-Type": CONTENT_TYPE, "Content-Length": str(length), "Accept": "application/dicom+json"}
    connection.request("POST", f"{origin.path}/studies", sent, headers)
    answer = connection.getresponse()
    stored = json.loads(answer.read())
    if answer.status != 200 or stored.get("00081198", {}).get("Value"):
        raise RuntimeError(f"answered {answer.status}: {stored}")


def _many(origin: Origin, instances: int, pixels: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", origin.port, timeout=120)
    for at in range(0, instances, 100):
        one = body(file_of(number, pixels) for number in range(at, min(at + 100, instances)))
        _post(connection, origin, one, len(one))
    connection.close()


def _large(origin: Origin, size: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", origin.port, timeout=600)
    piece = bytes(2**20)
    file = file_of(10**6, b"")
    # The length of Pixel Data, which stands last, in four bytes.
    count = size // len(piece)
    begun = HEAD + file[:-4] + (count * len(piece)).to_bytes(4, "little")
    tail = b"\r\n" + END

    def pieces() -> Iterator[bytes]:
        yield begun
        for _ in range(count):
            yield piece
        yield tail

    _post(connection, origin, pieces(), len(begun) + count * len(piece) + len(tail))
    connection.close()


class Seen:
    """Anonymous memory of a process, MiB."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self.before = self.most = self.now()

    def now(self) -> float:
        lines = self._status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


@contextmanager
def _watched(pid: int) -> Iterator[Seen]:
    seen, ended = Seen(pid), threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            seen.most = max(seen.most, seen.now())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


@contextmanager
def _gateway(folder: Path, storage: str) -> Iterator[Origin]:
    configuration = gateway_process.settings(f"sqlite:///{folder}/gateway.db", quiet_seconds=600)
    configuration["studies"] |= {"storage": storage, "spool": {"folder": str(folder / "spool"), "free_gb": 0}}
    with gateway_process.running(folder, configuration) as one:
        yield Origin(one.http_port, "/dicomweb", one.pid)


@contextmanager
def _orthanc(folder: Path) -> Iterator[Origin | None]:
    program = shutil.which("Orthanc", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or not PLUGIN.exists():
        yield None
        return
    port = free_port()
    settings = {
        "Name": "bench", "StorageDirectory": str(folder), "IndexDirectory": str(folder), "HttpPort": port,
        "DicomPort": free_port(), "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "Plugins": [str(PLUGIN)], "HttpThreadsCount": 50,
    }  # fmt: skip
    file = folder / "orthanc.json"
    file.write_text(json.dumps(settings), encoding="utf-8")
    with running(ORTHANC, (program, str(file)), "ORTHANC", port) as server:
        yield None if server is None else Origin(port, "/dicom-web", server.pid)


SERVERS: Final[dict[str, Serve]] = {
    ORTHANC: _orthanc,
    HEADERS: partial(_gateway, storage="headers"),
    FORWARD: partial(_gateway, storage="forward"),
}
