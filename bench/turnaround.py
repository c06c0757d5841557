"""Analytics over a filled book of orders with all that became of them: the page Figures, and an export.

The page is asked for the default days over one connection, as a browser does; the export is the command's, from start
to end, with all days of the book.
"""

from __future__ import annotations

import http.client
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench import examinations, gateway_process
from bench.databases import empty_database
from bench.figures import Report, Table, at_most, milliseconds, percentile

PATHS: Final = {"Figures": "/figures", "/api/turnaround": "/api/turnaround"}


def run(*, size: int, databases: Sequence[str], questions: int, form: str) -> Report:
    """p50 and p95 of the page and its route, and the time of an export, over `size` orders in each database."""
    pages, exports, targets = [], [], []
    for database in databases:
        with ExitStack() as stack:
            folder, url = empty_database(stack, database, "turnaround")
            examinations.performed(url, size)
            with gateway_process.running(folder, gateway_process.settings(url)) as gateway:
                for name, path in PATHS.items():
                    taken = _asked(gateway.http_port, path, questions)
                    p50, p95 = percentile(taken, 50), percentile(taken, 95)
                    pages.append((database, name, milliseconds(p50), milliseconds(p95)))
                    targets.append(at_most(f"{database}: median of {name}", "ms", 100, statistics.median(taken) * 1000))
            seconds = _exported(folder, url, form)
            exports.append((database, form, f"{size:,}", f"{seconds:.0f}", f"{size / seconds:.0f}"))
    return Report(
        [
            Table(f"Turn-around times over {size:,} orders", ("database", "page", "p50 ms", "p95 ms"), pages),
            Table("Export", ("database", "format", "orders", "seconds", "orders/s"), exports),
        ],
        targets,
    )


def _asked(port: int, path: str, questions: int) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    taken = []
    for _ in range(questions):
        begun = time.perf_counter()
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        taken.append(time.perf_counter() - begun)
        if response.status != 200 or not body:
            raise RuntimeError(f"{path} answered {response.status}")
    return taken


def _exported(folder: Path, url: str, form: str) -> float:
    configuration = folder / "export.yaml"
    configuration.write_text(f'database: {{url: "{url}", answer_seconds: 60}}\n')
    command = [
        str(Path(sys.executable).with_name("gateway")), "export", "-c", str(configuration), "--from", "2000-01-01",
        "--to", "2099-12-31", "--format", form, "--out", str(folder / "exported"),
    ]  # fmt: skip
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return time.perf_counter() - begun
