"""The sending side of S1, in a process of its own so that it takes no time from the gateway."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from gateway.simulators import ris
from gateway.wire.hl7.mllp_client import MllpClient

ACCEPTED = b"\rMSA|AA|"


@dataclass(frozen=True)
class Load:
    """What came of sending."""

    seconds: float
    latencies: list[float]
    """Of each message, from its first byte to its whole AA."""

    @property
    def rate(self) -> float:
        """Messages a second."""
        return len(self.latencies) / self.seconds


def send(port: int, connections: int, seed: int, count: int) -> Load:
    """`count` orders over `connections`, one at a time on each. Raises `RuntimeError` on any answer but AA."""
    return asyncio.run(_send(port, connections, [order.hl7() for order in ris.orders(seed, count)]))


async def _send(port: int, connections: int, messages: list[bytes]) -> Load:
    waiting = iter(messages)
    latencies: list[float] = []
    clients = [MllpClient("127.0.0.1", port) for _ in range(connections)]

    async def one(client: MllpClient) -> None:
        for message in waiting:
            begun = time.perf_counter()
            answer = await client.send(message)
            latencies.append(time.perf_counter() - begun)
            if ACCEPTED not in answer:
                raise RuntimeError(f"not accepted: {answer!r}")

    for client in clients:
        await client.__aenter__()
    begun = time.perf_counter()
    await asyncio.gather(*map(one, clients))
    seconds = time.perf_counter() - begun
    for client in clients:
        await client.close()
    return Load(seconds, latencies)
