"""S3, S4 and the echo rate: the gateway beside wlmscpfs, Orthanc and stock pynetdicom, in one run and in turns."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from bench import dicom_peers, gateway_process, worklist
from bench.dicom_client import Association, encoded
from bench.dicom_peers import Server
from bench.figures import Report, Table, at_least, at_most

MATCHES = 1000
CALLERS, PROCESSES = 8, 2
"""Callers are threads of two processes, so that one interpreter is not their limit."""
SECONDS = 3.0
IDLE = 500
IDLE_SECONDS = 10.0


def many_matches(*, rounds: int) -> Report:
    """S3: a query that 1,000 items match, on one association."""
    with _servers() as servers:
        asked = encoded(worklist.asked_for())
        rates: dict[str, list[float]] = {one.name: [] for one in servers}
        cpu: dict[str, list[float]] = {one.name: [] for one in servers}
        associations = {}
        with ExitStack() as stack:
            for server in servers:
                associations[server.name] = stack.enter_context(_associated(server))
            for server in servers:
                associations[server.name].find(asked)
            for _ in range(rounds):
                for server in servers:
                    before = server.cpu_seconds()
                    answer = associations[server.name].find(asked)
                    if answer.matches != MATCHES:
                        raise RuntimeError(f"{server.name} answered {answer.matches} of {MATCHES} items")
                    rates[server.name].append(answer.matches / answer.seconds)
                    cpu[server.name].append(server.cpu_seconds() - before)
        medians = {name: statistics.median(found) for name, found in rates.items()}
        ours = medians["gateway"]
        rows = [
            (name, f"{rate:,.0f}", f"{ours / rate:.2f}", f"{sum(cpu[name]) / rounds * 1000:.0f}")
            for name, rate in medians.items()
        ]
        header = ("S3", "responses/s", "gateway is x times it", "its CPU ms per query")
        table = Table(f"S3 Worklist query with {MATCHES:,} matches, median of {rounds}", header, rows)
        beside = medians.get("wlmscpfs")
        targets = [] if beside is None else [at_least("S3 responses/s over wlmscpfs", "x", 1.0, ours / beside)]
        return Report([table], targets)


def lives(*, rounds: int) -> Report:
    """S4: associations opened, echoed and released by 8 callers, and echoes on one association."""
    with _servers() as servers:
        opened: dict[str, list[float]] = {one.name: [] for one in servers}
        echoed: dict[str, list[float]] = {one.name: [] for one in servers}
        for _ in range(rounds):
            for server in servers:
                opened[server.name].append(_opened(server))
                echoed[server.name].append(_echoed(server))
        ours, our_echo = (statistics.median(one["gateway"]) for one in (opened, echoed))
        rows = [
            (
                name, f"{statistics.median(opened[name]):,.0f}", f"{ours / statistics.median(opened[name]):.1f}",
                f"{statistics.median(echoed[name]):,.0f}", f"{our_echo / statistics.median(echoed[name]):.1f}",
            )
            for name in opened
        ]  # fmt: skip
        header = ("S4", "associations/s", "gateway x", "C-ECHO/s on one", "gateway x")
        life = Table(f"S4 Associations, {CALLERS} callers, median of {rounds}", header, rows)
        held = [_held(server) for server in servers]
        columns = ("S4", f"accepted of {IDLE}", "CPU, % of a core", "RSS before, MiB", "RSS with them, MiB")
        idle = Table(f"S4 {IDLE} idle associations for {IDLE_SECONDS:.0f} s", columns, [one[:5] for one in held])
        gateway = held[0]
        targets = [
            at_least("S4 associations/s", "", 1000, ours),
            at_least(f"S4 idle associations accepted of {IDLE}", "", IDLE, float(gateway[1])),
            at_most(f"S4 CPU with {IDLE} idle associations", "%", 2, float(gateway[2])),
        ]
        return Report([life, idle], targets)


@contextmanager
def _servers() -> Iterator[list[Server]]:
    """The gateway first, with an order book of just the items; then those peers that are installed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-dicom-")))
        items = folder / "worklists" / "BENCH"
        dicom_peers.write_items(items, [worklist.item(number) for number in range(MATCHES)])
        url = f"sqlite:///{folder}/gateway.db"
        worklist.filled(url, MATCHES)
        settings = gateway_process.settings(url)
        settings["dicom"]["max_associations"] = 600
        gateway = stack.enter_context(gateway_process.running(folder, settings))
        found = [Server("gateway", gateway.dicom_port, gateway.pid)]
        for peer in (dicom_peers.wlmscpfs, dicom_peers.orthanc, dicom_peers.pynetdicom):
            server = stack.enter_context(peer(items))
            if server is not None:
                found.append(server)
        yield found


def _associated(server: Server) -> Association:
    return Association(server.port, called_ae=server.called_ae)


def _echoed(server: Server) -> float:
    """Echoes a second, one after the other."""
    with _associated(server) as association:
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < SECONDS / 2:
            association.echo()
            count += 1
        return count / (time.perf_counter() - begun)


def _opened(server: Server) -> float:
    context = multiprocessing.get_context("spawn")
    with context.Pool(PROCESSES) as pool:
        return sum(pool.map(partial(_call, server, CALLERS // PROCESSES), range(PROCESSES)))


def _call(server: Server, callers: int, _number: int) -> float:
    counts: list[int] = []
    begun = time.perf_counter()

    def work() -> None:
        count = 0
        while time.perf_counter() - begun < SECONDS:
            with _associated(server) as association:
                association.echo()
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=work) for _ in range(callers)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return sum(counts) / (time.perf_counter() - begun)


def _held(server: Server) -> tuple[str, str, str, str, str]:
    """Name, how many of the idle associations were accepted, CPU in percent, RSS before and with them."""
    before = server.rss()
    with ExitStack() as stack:
        accepted = 0
        for _ in range(IDLE):
            association = Association(server.port, called_ae=server.called_ae, timeout=5.0)
            stack.callback(association.close)
            with suppress(OSError, RuntimeError):
                association.__enter__()
                accepted += 1
                continue
            break  # one that is refused, or kept waiting, stands for the rest
        begun = server.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        used = (server.cpu_seconds() - begun) / IDLE_SECONDS * 100
        return server.name, str(accepted), f"{used:.1f}", f"{before:.0f}", f"{server.rss():.0f}"
