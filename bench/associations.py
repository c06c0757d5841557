"""S3, S4 and the echo rate: the gateway beside wlmscpfs, Orthanc and stock pynetdicom, in one run and in turns."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench import dicom_peers, gateway_process, order_book, worklist
from bench.callers import Calls, call
from bench.dicom_client import Association
from bench.dicom_peers import MOST_ASSOCIATIONS, Server
from bench.figures import Report, Table, at_least, at_most

CALLERS = 8
SECONDS = 3.0
NEW_ITEMS = "gateway, new items"
IDLE = 500
IDLE_SECONDS = 10.0
OPEN_SECONDS = 30.0
"""How long it may take to open the idle ones."""
ANSWER_SECONDS = 5.0
"""How long one of them waits for an answer."""


def many_matches(*, rounds: int) -> Report:
    """S3: a query that 1,000 items match, on one association; of the gateway also items that nobody has asked for."""
    with _servers(books=1 + rounds) as (servers, absent), ExitStack() as stack:
        numbers, asked = worklist.many_of(worklist.MANY)
        fresh = worklist.many_more(worklist.MANY * (1 + rounds))
        associations = {one.name: stack.enter_context(_associated(one)) for one in servers}
        found: dict[str, list[_Query]] = {}
        for _ in range(1 + rounds):
            found.setdefault(NEW_ITEMS, []).append(_queried(servers[0], associations["gateway"], next(fresh)))
            for server in servers:
                found.setdefault(server.name, []).append(_queried(server, associations[server.name], asked))
    medians = {name: statistics.median(one.rate for one in queries[1:]) for name, queries in found.items()}
    rows = [
        (
            name, f"{rate:,.0f}", f"{medians['gateway'] / rate:.2f}", f"{medians[NEW_ITEMS] / rate:.2f}",
            f"{statistics.mean(one.cpu for one in found[name][1:]) * 1000:.0f}", f"{found[name][0].rate:,.0f}",
        )
        for name, rate in medians.items()
    ]  # fmt: skip
    header = (
        "S3", "responses/s", "gateway is x times it", "with new items x", "its CPU ms per query",
        "its first query, responses/s",
    )  # fmt: skip
    title = f"S3 Worklist query with {worklist.MANY:,} matches of {len(numbers):,} steps, median of {rounds}"
    notes = [
        "pynetdicom and the canned answers do not look at the question.",
        f"{NEW_ITEMS}: each query finds {worklist.MANY:,} items that no query has found before.",
    ]
    table = Table(title, header, [*rows, *_absent(absent, header)], notes)
    beside = medians.get("wlmscpfs")
    targets = [] if beside is None else [
        at_least("S3 responses/s over wlmscpfs", "x", 1.0, medians["gateway"] / beside),
        at_least("S3 responses/s over wlmscpfs, new items", "x", 1.0, medians[NEW_ITEMS] / beside),
    ]  # fmt: skip
    return Report([table], targets)


@dataclass(frozen=True)
class _Query:
    rate: float
    """Responses a second."""
    cpu: float
    """Seconds of the server's."""


def _queried(server: Server, association: Association, asked: bytes) -> _Query:
    before = server.cpu_seconds()
    answer = association.find(asked)
    if answer.status or answer.matches != worklist.MANY:
        raise RuntimeError(f"{server.name} answered {answer.matches} of {worklist.MANY} items")
    return _Query(answer.matches / answer.seconds, server.cpu_seconds() - before)


def lives(*, rounds: int) -> Report:
    """S4: associations opened, echoed and released by 8 callers, and echoes on one association; idle associations."""
    with _servers() as (servers, absent):
        life = _life(servers, rounds)
        echoes: dict[str, list[float]] = {one.name: [] for one in servers}
        for _ in range(rounds):
            for server in servers:
                echoes[server.name].append(_echoed(server))
        held = [_held(server) for server in servers if server.name != dicom_peers.CANNED]
    opened = {name: statistics.median(one.calls.rate for one in found) for name, found in life.items()}
    echoed = {name: statistics.median(found) for name, found in echoes.items()}
    header = (
        "S4", "associations/s", "gateway is x times it", "failed", "its CPU us each", "callers' CPU, % of a core",
        "C-ECHO/s on one", "gateway is x times it",
    )  # fmt: skip
    rows = [
        (
            name, f"{opened[name]:,.0f}", f"{opened['gateway'] / opened[name]:.2f}",
            str(sum(one.calls.failed for one in found)), f"{statistics.median(one.cpu for one in found) * 1e6:,.0f}",
            f"{statistics.median(one.calls.busy for one in found):.0%}",
            f"{echoed[name]:,.0f}", f"{echoed['gateway'] / echoed[name]:.2f}",
        )
        for name, found in life.items()
    ]  # fmt: skip
    title = f"S4 Associations opened, echoed and released by {CALLERS} callers, median of {rounds}"
    columns = (
        "S4", f"accepted of {IDLE}", "s to open them", "CPU, % of a core", "memory before, MiB", "with them, MiB",
        "answered an echo afterwards",
    )  # fmt: skip
    idle = [
        (one.name, str(one.accepted), f"{one.seconds:.1f}", f"{one.busy:.1%}", f"{one.before:.0f}",
         f"{one.memory:.0f}", str(one.answered))
        for one in held
    ]  # fmt: skip
    gateway = held[0]
    tables = [
        Table(
            title,
            header,
            [*rows, *_absent(absent, header)],
            ["Canned answers come without a look at the question: what the callers of this run can do at most."],
        ),
        Table(
            f"S4 {IDLE} idle associations for {IDLE_SECONDS:.0f} s",
            columns,
            [*idle, *_absent(absent, columns)],
            [f"Opened one after the other, within {OPEN_SECONDS:.0f} s; the first that is refused ends it."],
        ),
    ]
    return Report(
        tables,
        [
            at_least("S4 associations/s", "", 1000, opened["gateway"]),
            at_least(f"S4 idle associations accepted of {IDLE}", "", IDLE, gateway.accepted),
            at_most(f"S4 CPU with {IDLE} idle associations", "%", 2, gateway.busy * 100),
        ],
    )


@contextmanager
def _servers(*, books: int = 1) -> Iterator[tuple[list[Server], list[str]]]:
    """The gateway first, with an order book of hardly more than so many times the items; then the peers. And which are
    missing."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-dicom-")))
        items = folder / "worklists" / "BENCH"
        numbers, _ = worklist.many_of(worklist.MANY)
        dicom_peers.write_items(items, order_book.items(numbers))
        url = f"sqlite:///{folder}/gateway.db"
        order_book.filled(url, worklist.MANY * books)
        settings = gateway_process.settings(url)
        settings["dicom"]["max_associations"] = MOST_ASSOCIATIONS
        settings["dicom"]["max_associations_per_address"] = MOST_ASSOCIATIONS
        gateway = stack.enter_context(gateway_process.running(folder, settings))
        found, absent = [Server("gateway", gateway.dicom_port, gateway.pid)], []
        for name, peer in dicom_peers.PEERS.items():
            server = stack.enter_context(peer(items))
            if server is None:
                absent.append(name)
            else:
                found.append(server)
        yield found, absent


def _absent(names: list[str], header: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [(name, "not installed", *[""] * (len(header) - 2)) for name in names]


def _associated(server: Server, timeout: float = 120.0) -> Association:
    return Association(server.port, called_ae=server.called_ae, timeout=timeout)


def _echoed(server: Server) -> float:
    """Echoes a second, one after the other."""
    with _associated(server) as association:
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < SECONDS / 2:
            association.echo()
            count += 1
        return count / (time.perf_counter() - begun)


@dataclass(frozen=True)
class _Life:
    calls: Calls
    cpu: float
    """Seconds of the server's for each association."""


def _life(servers: list[Server], rounds: int) -> dict[str, list[_Life]]:
    found: dict[str, list[_Life]] = {one.name: [] for one in servers}
    for _ in range(rounds):
        for server in servers:
            before = server.cpu_seconds()
            calls = call(server.port, server.called_ae, callers=CALLERS, seconds=SECONDS)
            used = server.cpu_seconds() - before
            found[server.name].append(_Life(calls, used / max(1, calls.rate * SECONDS)))
    return found


@dataclass(frozen=True)
class _Idle:
    name: str
    accepted: int
    seconds: float
    """Until all were open."""
    busy: float
    """Of a core, while nobody said anything."""
    before: float
    memory: float
    answered: int


def _held(server: Server) -> _Idle:
    before = server.memory()
    begun = time.perf_counter()
    held: list[Association] = []
    try:
        while len(held) < IDLE and time.perf_counter() - begun < OPEN_SECONDS:
            association = _associated(server, ANSWER_SECONDS)
            try:
                association.__enter__()
            except (OSError, RuntimeError):
                association.close()
                break  # one that is refused, or kept waiting, stands for the rest
            held.append(association)
        seconds = time.perf_counter() - begun
        cpu, since = server.cpu_seconds(), time.perf_counter()
        time.sleep(IDLE_SECONDS)
        busy = (server.cpu_seconds() - cpu) / (time.perf_counter() - since)
        memory, answered = server.memory(), _answered(held)
    finally:
        for association in held:
            association.close()
    return _Idle(server.name, len(held), seconds, busy, before, memory, answered)


def _answered(held: list[Association]) -> int:
    """How many answer an echo; one that is kept waiting stands for the rest."""
    count = 0
    with suppress(TimeoutError):
        for association in held:
            with suppress(ConnectionError, RuntimeError):  # ended meanwhile
                association.echo()
                count += 1
    return count
