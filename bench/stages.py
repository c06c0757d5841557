"""What one order costs the processor, stage by stage, in one process without a network and without a profiler."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence

from bench import gateway_process
from bench.figures import Table
from gateway.assembly.mappings import load_mappings
from gateway.assembly.orders import make_intake
from gateway.assembly.readers import make_reader
from gateway.clock import now
from gateway.config.tree import Config
from gateway.simulators import ris
from gateway.store import Store
from gateway.wire.hl7.mllp_framing import MllpPeer
from gateway.wire.hl7.parsing import parse

AT_ONCE = 16
PEER = MllpPeer("127.0.0.1", 1)


def table(*, messages: int, rounds: int) -> Table:
    with tempfile.TemporaryDirectory(prefix="bench-stages-") as folder:
        url = f"sqlite:///{folder}/gateway.db"
        measured = asyncio.run(_measure(url, messages, rounds))
    rows = [(name, f"{statistics.median(seconds) * 1e6:,.0f}") for name, seconds in measured.items()]
    rows.append(("together", f"{sum(statistics.median(seconds) for seconds in measured.values()) * 1e6:,.0f}"))
    return Table("S1 Stages in one process, no network", ("stage", "CPU us/message"), rows)


async def _measure(url: str, messages: int, rounds: int) -> dict[str, list[float]]:
    """Processor seconds for each message, all threads."""
    config = Config(**gateway_process.settings(url))
    mappings = load_mappings(config)
    store = await Store.open(url)
    try:
        intake = make_intake(config, config.hl7.listeners[0], store, make_reader(config, mappings), now)
        found: dict[str, list[float]] = {"parse": [], "map": [], "apply, write, commit": []}
        for number in range(rounds):
            raw = [order.hl7() for order in ris.orders(50_000 + number, messages)]
            parsed = [parse(one) for one in raw]
            parsing = _cpu(parse, raw)
            mapping = _cpu(lambda message: mappings.orders.read(message, received_at=now()), parsed)
            begun = time.process_time()
            for first in range(0, messages, AT_ONCE):
                await asyncio.gather(*(intake.receive(one, PEER) for one in raw[first : first + AT_ONCE]))
            whole = (time.process_time() - begun) / messages
            for name, seconds in zip(found, (parsing, mapping, whole - parsing - mapping), strict=True):
                found[name].append(seconds)
        return found
    finally:
        await store.close()


def _cpu(do: Callable[..., object], items: Sequence[object]) -> float:
    begun = time.process_time()
    for item in items:
        do(item)
    return (time.process_time() - begun) / len(items)
