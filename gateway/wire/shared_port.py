"""A port on which several processes accept: its sockets, and how many connections each process has.

The sockets are opened once, by the process that starts the others. So a connection that waits to be accepted waits for
all of them: it is lost with none. A connection that two processes are woken for goes to the one that has fewer.
"""

from __future__ import annotations

import errno
import mmap
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

ABSENT: Final = 2**31 - 1
"""In place of a number of connections: the process does not accept."""
BACKLOG: Final = 512
"""Connections that the system takes before they are accepted."""
_BYTES: Final = 4
_NO_SUCH_ADDRESS: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class ConnectionCounts:
    """Numbers in memory that processes share from their fork on: for each port, one of each process."""

    def __init__(self, ports: int, processes: int) -> None:
        self._processes = processes
        self._numbers = memoryview(mmap.mmap(-1, max(1, ports * processes) * _BYTES)).cast("i")
        for process in range(processes):
            self.absent(process)

    def absent(self, process: int) -> None:
        """A process accepts no more, on any port."""
        for at in range(process, len(self._numbers), self._processes):
            self._numbers[at] = ABSENT

    def of(self, port: int, process: int) -> Turns:
        """What a process sees and notes of a port."""
        first = port * self._processes
        return Turns(self._numbers[first : first + self._processes], process)


class Turns:
    """Whose turn it is to accept on a port: that of who has the fewest connections, or hardly more."""

    def __init__(self, numbers: memoryview, mine: int) -> None:
        self._numbers = numbers
        self._mine = mine

    def note(self, connections: int) -> None:
        """This process has so many."""
        self._numbers[self._mine] = connections

    def leave(self) -> None:
        """This process accepts no more."""
        self._numbers[self._mine] = ABSENT

    @property
    def is_mine(self) -> bool:
        """Whether no other process has clearly fewer: a quarter, for giving way costs time."""
        fewest = min(self._numbers)
        return bool(self._numbers[self._mine] - fewest <= fewest // 4)

    def has(self, process: int) -> bool:
        """Whether a process accepts."""
        return bool(self._numbers[process] != ABSENT)

    @property
    def present(self) -> int:
        """How many processes accept."""
        return sum(number != ABSENT for number in self._numbers)

    @property
    def total(self) -> int:
        """Connections of all processes."""
        return sum(number for number in self._numbers if number != ABSENT)


@dataclass(frozen=True, slots=True)
class SharedPort:
    """Sockets that listen in several processes, and the turns of this process on them."""

    sockets: Sequence[socket.socket]
    turns: Turns


def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """A socket that listens on each address of `host`. Asks for the addresses, which may block. Raises `OSError`."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    doors: list[socket.socket] = []
    fault: OSError | None = None
    for family, address in dict.fromkeys((one[0], one[4]) for one in found):
        try:
            door = _bound(family, address)
        except OSError as error:
            fault = error
            if error.errno in _NO_SUCH_ADDRESS:
                continue
            break
        doors.append(door)
    if fault is not None and (fault.errno not in _NO_SUCH_ADDRESS or not doors):
        for door in doors:
            door.close()
        raise fault
    return doors


def _bound(family: socket.AddressFamily, address: Any) -> socket.socket:
    # With its protocol named, by which asyncio sets TCP_NODELAY: Nagle's algorithm would cost 40 ms a message.
    door = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        door.setblocking(False)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        door.bind(address)
        door.listen(BACKLOG)
    except BaseException:
        door.close()
        raise
    return door
