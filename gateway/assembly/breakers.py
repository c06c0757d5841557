"""The breaker of a system that the gateway calls."""

from __future__ import annotations

from typing import Final

from prometheus_client import Gauge

from gateway.clock import Clock
from gateway.config.receiver import Retry
from gateway.work.breaker import Breaker

EHR_SILENCE_SECONDS: Final = 60.0
DESTINATION_SILENCE_SECONDS: Final = 30.0
"""A system that does not answer is tried at least so often, whatever the retries of single deliveries."""


def breaker_of(name: str, retry: Retry, clock: Clock, *, longest_silence: float, gauge: Gauge) -> Breaker:
    """Pauses from the first of `retry` to its longest, `longest_silence` seconds at most; `gauge` shows the state."""
    longest = min(retry.max_seconds, longest_silence)
    return Breaker(name, clock, first_seconds=retry.first_seconds, longest_seconds=longest, gauge=gauge)
