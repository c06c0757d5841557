"""DCMTK's dcmqrscp, an archive with C-FIND, C-GET and C-MOVE."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.ports import free_port
from tests.peers.dcmtk import dcmtk
from tests.peers.process import NO_DELAY, accepts, end, wait_until

TITLE = "QRSCP"


@contextmanager
def dcmqrscp(destinations: Mapping[str, int] | None = None, *options: str, port: int = 0) -> Iterator[int]:
    """An empty archive; its port (0: a free one). `destinations`: the ports on this machine of the AE titles that it
    moves to."""
    with tempfile.TemporaryDirectory() as directory:
        port, folder, file = port or free_port(), Path(directory) / "store", Path(directory) / "dcmqrscp.cfg"
        folder.mkdir()
        hosts = [
            f"host{at} = ({title}, 127.0.0.1, {to})" for at, (title, to) in enumerate((destinations or {}).items())
        ]
        lines = [
            f"NetworkTCPPort = {port}", "MaxPDUSize = 16384", "MaxAssociations = 16",
            "HostTable BEGIN", *hosts, "HostTable END",
            "VendorTable BEGIN", "VendorTable END",
            "AETable BEGIN", f"{TITLE} {folder} RW (1000, 1024mb) ANY", "AETable END",
        ]  # fmt: skip
        file.write_text("\n".join(lines) + "\n")
        process = subprocess.Popen(
            [dcmtk("dcmqrscp"), "-c", file, *options],
            env={**os.environ, **NO_DELAY},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: accepts(port), process, "dcmqrscp", 120)
            yield port
        finally:
            end(process)
