"""One process and several on PostgreSQL, in turns: orders, associations and deliveries in a second, and what each
process spends on them."""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final, TypeVar

from bench import deliveries, gateway_process
from bench.callers import call
from bench.databases import POSTGRESQL, empty_database
from bench.figures import Report, Table
from bench.gateway_process import Gateway, memory
from bench.mllp_load import send

T = TypeVar("T")
CONNECTIONS: Final = 16
CALLERS: Final = 8
SECONDS: Final = 3.0
INSTANCES: Final = 6
"""Of each study that is delivered."""
ORDERS, ASSOCIATIONS, DELIVERIES = "orders/s", "associations/s", "deliveries/s"


class _Figures:
    """Rates, and the CPU of each process, by what is measured and by how many processes."""

    def __init__(self) -> None:
        self._rates: dict[tuple[str, int], list[float]] = defaultdict(list)
        self._cpu: dict[tuple[str, int], list[Sequence[float]]] = defaultdict(list)

    def add(self, what: str, number: int, rate: float, units: float, cpu: Sequence[float]) -> None:
        self._rates[what, number].append(rate)
        self._cpu[what, number].append([seconds / units * 1e6 for seconds in cpu])

    def rows(self) -> Iterator[tuple[str, ...]]:
        firsts: dict[str, float] = {}
        for (what, number), rates in self._rates.items():
            rate = statistics.median(rates)
            each = [f"{statistics.median(one):,.0f}" for one in zip(*self._cpu[what, number], strict=True)]
            first = firsts.setdefault(what, rate)
            yield what, str(number), f"{rate:,.0f}", f"{rate / first:.2f}", f"{min(rates):,.0f}", " + ".join(each)


def run(*, messages: int, waiting: int, rounds: int, numbers: Sequence[int]) -> Report:
    """Each of `numbers` of processes in every round: `messages` orders, associations for some seconds, and `waiting`
    studies to an EHR."""
    figures, seeds = _Figures(), itertools.count(2_000)
    with ExitStack() as stack:
        spawn = multiprocessing.get_context("spawn")
        pool = stack.enter_context(ProcessPoolExecutor(1, mp_context=spawn))
        gateways = {number: stack.enter_context(_served(number)) for number in numbers}
        for gateway in gateways.values():
            pool.submit(send, gateway.hl7_port, CONNECTIONS, next(seeds), messages // 3).result()
        for _ in range(rounds):
            for number, gateway in gateways.items():
                sending = partial(pool.submit, send, gateway.hl7_port, CONNECTIONS, next(seeds), messages)
                load, cpu = _used(gateway, sending)
                figures.add(ORDERS, number, load.rate, messages, cpu)
                calling = partial(pool.submit, call, gateway.dicom_port, "GATEWAY", callers=CALLERS, seconds=SECONDS)
                calls, cpu = _used(gateway, calling)
                figures.add(ASSOCIATIONS, number, calls.rate, calls.rate * SECONDS, cpu)
        sizes = [(str(number), ", ".join(f"{memory(pid)[0]:.0f}" for pid in one.serving or (one.pid,)))
                 for number, one in gateways.items()]  # fmt: skip
    for _ in range(rounds):
        for number in numbers:
            one = deliveries.delivered(POSTGRESQL, INSTANCES, waiting, processes=number)
            figures.add(DELIVERIES, number, one.rate, waiting, one.cpu_of_each)
    header = ("PostgreSQL", "processes", "in a second", "x the first", "worst round", "CPU us each, of each process")
    title = (
        f"Processes: orders over {CONNECTIONS} connections, associations of {CALLERS} callers, "
        f"studies of {INSTANCES} instances to an EHR"
    )
    return Report(
        [
            Table(
                title, header, list(figures.rows()), ["Senders, callers, EHR and PostgreSQL work on the same cores."]
            ),
            Table("Memory (RSS; what is shared is counted in each)", ("processes", "MiB of each"), sizes),
        ]
    )


def _used(gateway: Gateway, begin: Callable[[], Future[T]]) -> tuple[T, list[float]]:
    """What comes of `begin`, and the CPU seconds that each process spent meanwhile."""
    before = gateway.cpu_of_each()
    done = begin().result()
    return done, [now - then for now, then in zip(gateway.cpu_of_each(), before, strict=True)]


@contextmanager
def _served(number: int) -> Iterator[Gateway]:
    with ExitStack() as stack:
        folder, url = empty_database(stack, POSTGRESQL, "processes")
        yield stack.enter_context(gateway_process.running(folder, gateway_process.settings(url), processes=number))
