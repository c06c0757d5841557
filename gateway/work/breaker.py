"""Whether a receiver answers at all: while it does not, its work waits in the outbox instead of trying one by one."""

from __future__ import annotations

import logging
from typing import Final

from prometheus_client import Gauge

from gateway.clock import Clock
from gateway.errors import GatewayError, NeedsPerson, Unavailable, UnsupportedType, with_fate
from gateway.observe import metrics

log = logging.getLogger(__name__)

FAILURES: Final = 5
"""So many tries in a row without an answer of the receiver's own open the breaker."""
SECOND: Final = 1_000_000


class Breaker:
    """Closed: work goes through. Open: none does until a pause is over. Then one try at a time: an answer closes it,
    none opens it again for twice as long, up to `longest_seconds`.

    An answer is whatever a receiver decides about what it is sent, also a refusal; a timeout, a lost connection, 429,
    502, 503 and 504 are none. A 500 is neither: it may be the fault of one study.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        first_seconds: float = 5.0,
        longest_seconds: float = 300.0,
        gauge: Gauge = metrics.EHR_OPEN,
    ) -> None:
        self._name = name
        self._clock = clock
        self._first = round(first_seconds * SECOND)
        self._longest = round(longest_seconds * SECOND)
        self._failures = 0
        self._pause = 0
        self._until = 0
        self.answered_at: int | None = None
        """When it answered last, by the clock; None: not yet."""
        self.away_since: int | None = None
        """When the first try came to nothing after its last answer; None: it answers."""
        self._open = gauge.labels(name)
        self._open.set(0)

    @property
    def is_open(self) -> bool:
        return self._pause > 0

    def admits(self, free: int, under_way: int) -> int:
        """How much of `free` may be taken up now."""
        if not self.is_open:
            return free
        return 1 if self.opens_in() <= 0 and under_way == 0 else 0

    def opens_in(self) -> float:
        """Seconds until the next try may be made; 0 or less: now."""
        return (self._until - self._clock()) / SECOND if self.is_open else 0.0

    def answered(self) -> None:
        if self.is_open:
            log.warning("%s answers again", self._name)
            self._open.set(0)
        self._failures = self._pause = 0
        self.answered_at, self.away_since = self._clock(), None

    def failed(self, retry_after: float | None) -> None:
        """A try came to nothing; `retry_after`: what the receiver, or what stands before it, asks for, in seconds."""
        self._failures += 1
        if self.away_since is None:
            self.away_since = self._clock()
        if not self.is_open and self._failures < FAILURES:
            return
        if self.opens_in() > 0:
            return  # of those that were under way when it opened
        was_open = self.is_open
        self._pause = min(self._pause * 2 or self._first, self._longest)
        asked = min(round((retry_after or 0.0) * SECOND), self._longest)
        self._until = self._clock() + max(self._pause, asked)
        self._open.set(1)
        if not was_open:
            log.warning(
                "%s does not answer (%d tries in a row); its work waits, and it is tried every %g to %g seconds",
                self._name, self._failures, self._first / SECOND, self._longest / SECOND,
            )  # fmt: skip

    def failure(self, error: GatewayError, unsupported: type[GatewayError] = NeedsPerson) -> GatewayError:
        """What an error of a try without an answer comes to for the work, after the try is accounted for.

        A receiver that does not take the type is there, and the work is `unsupported`. Whatever else keeps the receiver
        from answering says nothing of the work.
        """
        if isinstance(error, UnsupportedType):
            self.answered()
            return with_fate(error, unsupported)
        self.failed(getattr(error, "retry_after", None))
        return error if isinstance(error, Unavailable) else with_fate(error, Unavailable)
