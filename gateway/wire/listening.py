"""A listening port whose connections are counted before anything is made for them.

asyncio's own server accepts a whole backlog before a protocol sees the first connection, logs each `accept()` that
fails and then stops for a second; a flood takes the descriptors of all other listeners with it. Here a connection
without a place is closed within the call that accepted it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

from gateway.wire.places import Denial, HeldPlace, Places
from gateway.wire.shared_port import SharedPort, Turns, listening_sockets

log = logging.getLogger(__name__)

ACCEPTS: Final = 64
"""Connections that are taken before the event loop turns to others."""
RETRY_SECONDS: Final = 0.1
"""After an `accept()` that failed, for want of descriptors or memory."""
GIVE_WAY_SECONDS: Final = 0.0005
"""So long a connection is left to the processes that have fewer: one that is idle takes it sooner. Then it is taken all
the same: they may be at work, or stopped. Meanwhile who gave way may have the fewest again, and idles."""

Protocol = Callable[[HeldPlace], asyncio.BaseProtocol]


class Listening:
    """Listens on a port and makes a protocol for each connection that has a place, on the running event loop.

    protocol: makes it; the protocol gives its place back when the connection is lost, and sets `HeldPlace.end`.
    admits: whether an address may connect at all; who may not takes no place.
    turned_away: (address, port, why) of who got no place.
    farewell: what who gets no place is sent before the end.
    most_descriptors: a connection with a descriptor of this number or above is one too many (None: no limit). The
    system gives the lowest that is free, so the number tells how many are open, whoever has opened them.
    """

    def __init__(
        self,
        name: str,
        protocol: Protocol,
        places: Places,
        *,
        tls: ssl.SSLContext | None = None,
        handshake_seconds: float = 15.0,
        admits: Callable[[str], bool] = lambda address: True,
        turned_away: Callable[[str, int, Denial], None] = lambda address, port, denial: None,
        farewell: bytes = b"",
        most_descriptors: int | None = None,
    ) -> None:
        self.name = name
        self.places = places
        self._protocol = protocol
        self._tls = tls
        self._handshake_seconds = handshake_seconds if tls else None
        self._admits = admits
        self._turned_away = turned_away
        self._farewell = farewell
        self._most_descriptors = most_descriptors
        self._sockets: list[socket.socket] = []
        self._turns: Turns | None = None
        self._retries: dict[socket.socket, asyncio.TimerHandle] = {}
        self._opening: set[asyncio.Task[Any]] = set()

    @property
    def port(self) -> int:
        """The port listened on; 0 when there is none."""
        return int(self._sockets[0].getsockname()[1]) if self._sockets else 0

    async def start(self, host: str, port: int, *, shared: SharedPort | None = None) -> None:
        """Listen on each address of `host`; port 0 takes a free one. Raises `OSError`.

        `shared`: what listens there already, also in other processes; they take turns. Its sockets are this object's
        from now on.
        """
        loop = asyncio.get_running_loop()
        if shared is None:
            self._sockets += await loop.run_in_executor(None, listening_sockets, host, port)
        else:
            # Not copies: the system takes connections for as long as any process has a socket open.
            self._sockets += shared.sockets
            self._turns = shared.turns
            self.places.counted = shared.turns.note
            shared.turns.note(len(self.places))
        for door in self._sockets:
            loop.add_reader(door, self._accept, door)

    def close(self) -> None:
        """Listen no more, and drop connections that are not open yet. The others stay."""
        for door in self._sockets:
            if (retry := self._retries.pop(door, None)) is not None:
                retry.cancel()
            asyncio.get_running_loop().remove_reader(door)
            door.close()
        self._sockets = []
        if self._turns is not None:
            self._turns.leave()
            self.places.counted = lambda connections: None
        for task in self._opening:
            task.cancel()

    def _accept(self, door: socket.socket) -> None:
        if self._turns is None:
            self._take(door, ACCEPTS)
        elif self._turns.is_mine:
            self._take(door, 1)
        else:
            self._pause(door, GIVE_WAY_SECONDS, self._take_after_all)

    def _take(self, door: socket.socket, most: int) -> None:
        for _ in range(most):
            try:
                connection, address = door.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("%s: connections to port %d wait, accept() fails: %s", self.name, self.port, error.strerror)
                # The system reports a waiting connection for as long as it waits: without a pause the loop would spin.
                self._pause(door, RETRY_SECONDS, self._resume)
                return
            connection.setblocking(False)
            self._admit(connection, address[0], address[1])

    def _pause(self, door: socket.socket, seconds: float, after: Callable[[socket.socket], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(door)
        self._retries[door] = loop.call_later(seconds, after, door)

    def _take_after_all(self, door: socket.socket) -> None:
        self._resume(door)
        self._take(door, 1)

    def _resume(self, door: socket.socket) -> None:
        del self._retries[door]
        asyncio.get_running_loop().add_reader(door, self._accept, door)

    def _admit(self, connection: socket.socket, address: str, port: int) -> None:
        if not self._admits(address):
            self._refuse(connection, address, port, Denial.ADDRESS)
            return
        if self._most_descriptors is not None and connection.fileno() >= self._most_descriptors:
            self._refuse(connection, address, port, Denial.IN_ALL)
            return
        place = self.places.take(address, lambda: None)
        if isinstance(place, Denial):
            self._refuse(connection, address, port, place)
            return
        task = asyncio.get_running_loop().create_task(self._open(connection, place))
        place.end = task.cancel
        self._opening.add(task)
        task.add_done_callback(lambda done: self._opened(done, connection, place))

    async def _open(self, connection: socket.socket, place: HeldPlace) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: self._protocol(place), connection, ssl=self._tls, ssl_handshake_timeout=self._handshake_seconds
        )

    def _opened(self, task: asyncio.Task[Any], connection: socket.socket, place: HeldPlace) -> None:
        self._opening.discard(task)
        if task.cancelled() or (error := task.exception()) is not None:
            place.leave()
            connection.close()
            if not task.cancelled() and not isinstance(error, OSError):
                log.error("%s: a connection failed before it was open", self.name, exc_info=error)

    def _refuse(self, connection: socket.socket, address: str, port: int, denial: Denial) -> None:
        with connection:
            if self._farewell:
                try:
                    connection.send(self._farewell)
                    connection.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # gone already
        self._turned_away(address, port, denial)
