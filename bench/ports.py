"""Ports for programs that cannot choose one."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from typing import Final

_LOWEST_EPHEMERAL: Final = 32_768
"""Linux, net.ipv4.ip_local_port_range; other systems begin higher."""
_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_WORKERS: Final = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_PORTS: Final = range(10_000 + _WORKER, _LOWEST_EPHEMERAL, _WORKERS)
"""Those of this process: workers beside each other have others."""
_UNUSED: Final = iter(random.SystemRandom().sample(_PORTS, len(_PORTS)))


def free_port() -> int:
    """A TCP port of the loopback address for a program that cannot choose its port, or that is started twice on it.

    The port is below those that the system gives out by itself: while the program is not running, neither a connection
    nor a listener on port 0 takes the port away.
    """
    for port in _UNUSED:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is left")
