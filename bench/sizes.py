"""What grows: each kind of question, and each kind of arrival, over databases of ten thousand to ten million messages.

One database at a time, filled by the database itself and deleted after its turn. What waits in the outbox is asked for
with nothing waiting and with a thousand rows of work.
"""

from __future__ import annotations

import http.client
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from pydicom import Dataset
from sqlalchemy import text

from bench import gateway_process, large_site, order_book, performed_steps
from bench.arrival import instance
from bench.databases import empty_database
from bench.dicom_client import MPPS_CONTEXTS, STORE_CONTEXTS, Association, encoded, store_request
from bench.figures import Report, Table, Target, at_most, milliseconds, percentile, rendered
from bench.gateway_process import Gateway
from bench.mllp_load import send
from bench.site_questions import LOOKS, Look, Site, finds, requests, taken
from gateway.clock import now
from gateway.store.engine import open_engine

FREE_BYTES: Final = 15_000_000_000
"""That a run leaves on the disk."""
BYTES_PER_MESSAGE: Final = 2_000
STORED: Final = 200
PAIRS: Final = 100
ORDERS: Final = {1: 200, 16: 2_000}
"""Connections -> orders that are sent over them."""
GROWTH: Final = 1.5
SLACK_SECONDS: Final = 0.005
Seconds = dict[str, list[float]]


def run(*, sizes: Sequence[int], databases: Sequence[str], questions: int) -> Report:
    """`questions` of each kind over sites with `sizes` messages, the smallest first."""
    found: dict[tuple[str, int], Seconds] = {}
    notes = []
    for database in databases:
        for size in sizes:
            _leave_room(size)
            with ExitStack() as stack:
                folder, url = empty_database(stack, database, "sizes")
                filling = large_site.filled(url, size)
                site, bytes = _site(url)
                begun = time.perf_counter()
                found[database, size] = _measured(folder, url, site, questions)
                notes.append(
                    f"{database}, {size:,} messages: filled in {filling:.0f} s, {bytes / 1e6:,.0f} MB, "
                    f"asked in {time.perf_counter() - begun:.0f} s"
                )
                # What comes after takes long, and may not come to its end.
                print(rendered(_tables(found, notes)[0]), end="\n\n", flush=True)
    return Report(_tables(found, notes), list(_targets(found, sizes, databases)))


def _leave_room(size: int) -> None:
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < FREE_BYTES + size * BYTES_PER_MESSAGE:
        raise RuntimeError(f"{size:,} messages need more than the {free / 1e9:.0f} GB that are free")


def _site(url: str) -> tuple[Site, int]:
    """The site and the bytes of its database."""
    engine = open_engine(url)
    with engine.connect() as connection:
        orders = int(connection.execute(text("SELECT max(id) FROM orders")).scalar_one())
        if engine.dialect.name == "sqlite":
            size = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        else:
            size = "SELECT pg_database_size(current_database())"
        bytes = int(connection.execute(text(size)).scalar_one())
    engine.dispose()
    return Site(orders), bytes


def _measured(folder: Path, url: str, site: Site, questions: int) -> Seconds:
    seconds: Seconds = {}
    _looks(url, site, questions, seconds)
    begun = time.perf_counter()
    configuration = gateway_process.settings(url)
    configuration["facade"] = {"enabled": True}
    configuration["ehrs"] = [{"name": "main", "url": "http://127.0.0.1:9/fhir"}]
    with gateway_process.running(folder, configuration) as gateway:
        seconds["start of the gateway"] = [time.perf_counter() - begun]
        _web(gateway, site, questions, seconds)
        _worklist(gateway, site, questions, seconds)
        _orders(gateway, seconds)
        _performed(gateway, site, seconds)
        _instances(gateway, seconds)
    return seconds


def _looks(url: str, site: Site, questions: int, seconds: Seconds) -> None:
    """What the gateway asks by itself; then a thousand rows of work wait, for an EHR that is paused at the end."""
    engine = open_engine(url)

    def ask(kinds: Mapping[str, Look], suffix: str = "") -> None:
        with engine.connect() as connection:
            for kind, look in kinds.items():
                for number in site.numbers(questions):
                    seconds.setdefault(kind + suffix, []).append(taken(look, connection, number))
            connection.rollback()

    ask(LOOKS)
    with engine.begin() as connection:
        connection.execute(text(_WAITING), {"now": now()})
    ask({kind: look for kind, look in LOOKS.items() if kind.startswith("worker")}, f", {large_site.WAITING:,} wait")
    with engine.begin() as connection:
        connection.execute(text(_PAUSE))
    engine.dispose()


_WAITING: Final = (
    "INSERT INTO outbox (kind, lane, subject, payload, state, due_at, attempts, lease, lease_until, created_at) "
    f"SELECT 'ehr:main', 'ehr:main|waits' || id, 'waits' || id, '{{}}', 'pending', :now - id, 0, '', 0, :now "
    f"FROM orders WHERE id <= {large_site.WAITING}"
)
_PAUSE: Final = "INSERT INTO pauses (receiver, since, person, note) VALUES ('main', 0, 'bench', '')"


def _web(gateway: Gateway, site: Site, questions: int, seconds: Seconds) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.http_port, timeout=600)
    for number in site.numbers(questions):
        for kind, asked in requests(site, number).items():
            begun = time.perf_counter()
            connection.request("GET", asked.path, headers={"Accept": asked.accept})
            response = connection.getresponse()
            body = response.read()
            seconds.setdefault(kind, []).append(time.perf_counter() - begun)
            if response.status not in (200, 204, 303, 404, 503):
                raise RuntimeError(f"{asked.path} answered {response.status}: {body[:300]!r}")


def _worklist(gateway: Gateway, site: Site, questions: int, seconds: Seconds) -> None:
    with Association(gateway.dicom_port) as association:
        for one in range(questions):
            number = site.first_open + one % large_site.OPEN
            for kind, identifier in finds(number).items():
                answer = association.find(identifier)
                if answer.status or not answer.matches:
                    raise RuntimeError(f"{kind} answered {answer.status:04X} with {answer.matches} matches")
                seconds.setdefault(kind, []).append(answer.seconds)


def _orders(gateway: Gateway, seconds: Seconds) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for connections, count in ORDERS.items():
            load = pool.submit(send, gateway.hl7_port, connections, 7_000 + connections, count).result()
            seconds[f"order over MLLP, {connections} connection{'s' * (connections > 1)}"] = load.latencies


def _performed(gateway: Gateway, site: Site, seconds: Seconds) -> None:
    items = order_book.items(range(site.first_open, site.orders))[:PAIRS]
    with Association(gateway.dicom_port, calling_ae="CT1", contexts=MPPS_CONTEXTS) as modality:
        for item in items:
            for kind, request in zip(("N-CREATE", "N-SET"), performed_steps.requests(item), strict=True):
                answer = modality.perform(request)
                if answer.status:
                    raise RuntimeError(f"{kind} answered {answer.status:04X}")
                seconds.setdefault(f"MPPS: {kind}", []).append(answer.seconds)


def _instances(gateway: Gateway, seconds: Seconds) -> None:
    with Association(gateway.dicom_port, calling_ae="CT1", contexts=STORE_CONTEXTS) as scanner:
        for one in _made(STORED):
            answer = scanner.store(store_request(one.SOPInstanceUID, encoded(one)))
            if answer.status:
                raise RuntimeError(f"C-STORE answered {answer.status:04X}")
            seconds.setdefault("C-STORE of an instance, four to a study", []).append(answer.seconds)


def _made(count: int) -> Iterator[Dataset]:
    for number in range(count):
        made = instance(number, bytes(2))
        made.Rows = made.Columns = 1
        made.StudyInstanceUID = f"2.25.5{number // 4}"
        made.SeriesInstanceUID = f"{made.StudyInstanceUID}.1"
        made.AccessionNumber = f"N{number // 4}"
        yield made


def _tables(found: Mapping[tuple[str, int], Seconds], notes: Sequence[str]) -> list[Table]:
    header = ("", *(f"{database} {_short(size)}" for database, size in found))
    kinds = next(iter(found.values()))
    return [
        Table(
            f"What grows, p{percent} in ms", header,
            [(kind, *(milliseconds(percentile(one[kind], percent)) for one in found.values())) for kind in kinds],
            notes,
        )
        for percent in (50, 99)
    ]  # fmt: skip


def _short(size: int) -> str:
    return f"{size // 1_000_000} M" if size >= 1_000_000 else f"{size // 1_000} k"


def _targets(
    found: Mapping[tuple[str, int], Seconds], sizes: Sequence[int], databases: Sequence[str]
) -> Iterator[Target]:
    """A median may be half as long again as in the smallest database, and some milliseconds more."""
    for database in databases:
        smallest, largest = found[database, sizes[0]], found[database, sizes[-1]]
        for kind, taken_there in largest.items():
            limit = statistics.median(smallest[kind]) * GROWTH + SLACK_SECONDS
            yield at_most(f"{database}, {kind}", "ms", limit * 1000, statistics.median(taken_there) * 1000)
