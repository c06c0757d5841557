"""A process of a gateway, as the supervisor that has forked it knows it."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import ConfigError, GatewayError, Unavailable

STEADY_SECONDS: Final = 30.0
"""A process that has served for so long is started again at once."""
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
"""Between two starts of a process that dies before; each twice as long after the one before."""
REPORT_SECONDS: Final = 1.0
"""For the rest of a report whose beginning has come."""


@dataclass(slots=True)
class Child:
    """A process and what is known of it."""

    number: int
    pid: int = 0
    """0: none runs."""
    channel: socket.socket | None = None
    unfinished_line: bytes = b""
    """Of a report that has not come whole yet."""
    begun_at: float = 0.0
    """By the monotonic clock; 0: it was never started."""
    is_ready: bool = False
    faults: Sequence[str] = ()
    """Why it did not start the last time."""
    pause: float = 0.0
    due_at: float | None = None
    """When it is started again, by the monotonic clock."""

    def begin(self) -> socket.socket:
        """Note that it is about to be forked; its end of the channel on which it reports."""
        self.channel, theirs = socket.socketpair()
        self.channel.settimeout(REPORT_SECONDS)
        self.unfinished_line, self.is_ready, self.begun_at, self.due_at = b"", False, time.monotonic(), None
        return theirs

    def reports(self) -> Iterator[dict[str, Any]]:
        """What has come of its reports; at their end the channel is closed."""
        assert self.channel is not None
        try:
            received = self.channel.recv(65536)
        except OSError:  # it ended amid a report, or what it has started holds its end
            received = b""
        if not received:
            self.close()
            return
        *lines, self.unfinished_line = (self.unfinished_line + received).split(b"\n")
        yield from map(json.loads, lines)

    def wait(self) -> None:
        """Note that it has died, and when it is started again."""
        was_steady = self.is_ready and time.monotonic() - self.begun_at >= STEADY_SECONDS
        self.is_ready = False
        self.pause = 0.0 if was_steady else min(self.pause * 2 or FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self.due_at = time.monotonic() + self.pause

    def close(self) -> None:
        """Take no more reports."""
        if self.channel is not None:
            self.channel.close()
            self.channel = None

    def fault(self, status: int) -> GatewayError:
        """Why it did not start."""
        if self.faults:
            return ConfigError(list(self.faults))
        return Unavailable(f"process {self.number} {ended(status)} before it served; the log says why")


def ended(status: int) -> str:
    """How a process ended, by the status of `waitpid`."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"was ended by signal {number} ({signal.Signals(number).name})"
    return f"ended with exit code {os.WEXITSTATUS(status)}"
