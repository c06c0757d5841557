"""What is larger than memory should be: an object of gigabytes, and a study of many thousands of instances, with their
pixels; the gateway is killed amid the study.

`LARGE_BYTES` and `LARGE_INSTANCES` say how large; what was measured is printed.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import struct
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from bench.arrival import instance
from bench.gateway_process import memory
from tests.conftest import until
from tests.faults.whole_gateway import WholeGateway, running
from tests.journey.test_pixels_arrive import files
from tests.wire.dimse import raw_peer as raw

BYTES = int(os.environ.get("LARGE_BYTES", 2 * 1024**3))
INSTANCES = int(os.environ.get("LARGE_INSTANCES", 20_000))
SCANNERS = 4
MIB = 1024 * 1024
MOST_MIB = 150
"""By which memory may grow, whatever arrives: blocks, threads and caches."""
STUDIES = {"storage": "forward", "quiet_seconds": 3600, "spool": {"folder": "spool", "free_gb": 0}}
PIECE = bytes(range(256)) * 400


def encoded(dataset: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def rows(folder: Path) -> list[tuple[str, int, bytes]]:
    with closing(sqlite3.connect(folder / "gateway.db")) as connection:
        return connection.execute("SELECT file, size, sha256 FROM pixel_files").fetchall()


async def _stored(gateway: WholeGateway, messages: list[tuple[str, bytes]], calling: bytes = b"RAW") -> list[int]:
    """Statuses of data sets by their instance, over one association; fewer where the gateway ends."""
    statuses = []
    try:
        async with raw.associated(gateway.dicom, calling=calling) as peer:  # type: ignore[arg-type]
            for uid, data in messages:
                peer.send(raw.pdu(0x04, raw.pdv(5, 3, raw.store_rq(instance=uid))))
                peer.send(raw.pdu(0x04, raw.pdv(5, 2, data)))
                statuses.append((await peer.status())[1])
    except (OSError, asyncio.IncompleteReadError, KeyError, IndexError, struct.error, AssertionError):
        pass
    return statuses


async def test_an_object_of_gigabytes_is_never_in_memory(tmp_path: Path) -> None:
    head = encoded(instance(1, b"\0\0", frames=BYTES // 524_288))[:-14]
    assert not head.endswith(b"OW\0\0")
    pieces = BYTES // len(PIECE)
    digest = hashlib.sha256()
    async with running(tmp_path, "sqlite:///gateway.db", {"studies": STUDIES}) as gateway:
        before, begun = memory(gateway.process.pid)[0], time.monotonic()
        async with raw.associated(gateway.dicom) as peer:
            peer.send(raw.pdu(0x04, raw.pdv(5, 3, raw.store_rq(instance="2.25.5.1.2"))))
            pixel = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, pieces * len(PIECE))
            for data in (head + pixel, *(PIECE for _ in range(pieces))):
                digest.update(data)
                peer.send(raw.pdu(0x04, raw.pdv(5, 0, data)))
                await peer.writer.drain()
            peer.send(raw.pdu(0x04, raw.pdv(5, 2, b"")))
            async with asyncio.timeout(120):
                answer = await peer.reader.read(1024)
        assert answer[:1] == b"\x04"
        seconds, peak = time.monotonic() - begun, memory(gateway.process.pid)[1]
        [(file, size, sha256)] = rows(tmp_path)
        assert (size, sha256) == ((tmp_path / "spool" / file).stat().st_size, digest.digest())
        print(f"\n{size / MIB:,.0f} MiB in {seconds:.1f} s; memory {before:.0f} MiB before, {peak:.0f} at most")
        assert peak < before + MOST_MIB


async def test_a_study_of_many_thousands_that_is_killed_in_the_middle_is_whole_in_the_end(tmp_path: Path) -> None:
    pixels = bytes(2048)
    every = [(f"2.25.5.1.{number + 1}", encoded(instance(number, pixels))) for number in range(INSTANCES)]
    shares = [every[number::SCANNERS] for number in range(SCANNERS)]
    done = [0] * SCANNERS

    async def send(gateway: WholeGateway, number: int) -> None:
        statuses = await _stored(gateway, shares[number][done[number] :], b"SCANNER%d" % number)
        assert set(statuses) <= {0}
        done[number] += len(statuses)

    async with running(tmp_path, "sqlite:///gateway.db", {"studies": STUDIES}) as gateway:
        before, begun = memory(gateway.process.pid)[0], time.monotonic()
        sending = [asyncio.create_task(send(gateway, number)) for number in range(SCANNERS)]
        await until(lambda: len(rows(tmp_path)) > INSTANCES // 2, seconds=3600, what="half of the study")
        peak = memory(gateway.process.pid)[1]
        await gateway.kill()
        await asyncio.gather(*sending)
        lost = len(files(tmp_path)) - len(rows(tmp_path))
        await gateway.start()
        await asyncio.gather(*(send(gateway, number) for number in range(SCANNERS)))
        seconds, peak = time.monotonic() - begun, max(peak, memory(gateway.process.pid)[1])
        assert sum(done) == INSTANCES
        await until(lambda: len(files(tmp_path)) == len(rows(tmp_path)), seconds=300, what="files and rows in step")
        held: dict[bytes, Any] = {sha256: file for file, _size, sha256 in rows(tmp_path)}
        assert held.keys() == {hashlib.sha256(data).digest() for _uid, data in every}
        for sha256, file in held.items():
            assert hashlib.sha256(_data_set(tmp_path / "spool" / file)).digest() == sha256
        print(
            f"\n{INSTANCES:,} instances over {SCANNERS} associations in {seconds:.1f} s with a kill, after which {lost}"
            f" files had no row; memory {before:.0f} MiB before, {peak:.0f} at most"
        )
        assert peak < before + MOST_MIB


def _data_set(path: Path) -> bytes:
    data = path.read_bytes()
    return data[144 + int.from_bytes(data[140:144], "little") :]
