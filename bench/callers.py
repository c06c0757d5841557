"""Callers who open an association, echo and release it, again and again: one thread, epoll, bytes made beforehand."""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass

from bench.dicom_client import ACCEPTED, DATA, ECHO_REQUEST, RELEASE_REQUEST, RELEASED, association_request

_EXPECTED = (ACCEPTED, DATA, RELEASED)
_HEAD = 6
"""Type, reserved and length of a PDU."""


@dataclass(frozen=True)
class Calls:
    rate: float
    """Associations a second that were opened, echoed and released."""
    failed: int
    """Associations that were refused, or ended early."""
    busy: float
    """Of a core, by the callers themselves: near 1 they are what limits the rate."""


def call(port: int, called_ae: str, *, callers: int, seconds: float) -> Calls:
    """Let so many callers call at once, each with its next association when the last has ended."""
    requests = (association_request(called_ae), ECHO_REQUEST, RELEASE_REQUEST)
    done = failed = 0
    with select.epoll() as ready:
        open_ones: dict[int, _Caller] = {}

        def begin() -> None:
            one = _Caller(port)
            open_ones[one.socket.fileno()] = one
            ready.register(one.socket, select.EPOLLOUT)

        begun, cpu = time.perf_counter(), time.process_time()
        for _ in range(callers):
            begin()
        while (passed := time.perf_counter() - begun) < seconds:
            for number, event in ready.poll(0.1):
                caller = open_ones[number]
                try:
                    if event & select.EPOLLOUT:
                        caller.socket.send(requests[0])
                        ready.modify(number, select.EPOLLIN)
                        continue
                    if not caller.is_answered():
                        continue
                    if caller.answers < len(requests):
                        caller.socket.send(requests[caller.answers])
                        continue
                    done += 1
                except OSError:
                    failed += 1
                del open_ones[number]
                caller.socket.close()
                begin()
        busy = (time.process_time() - cpu) / passed
        for caller in open_ones.values():
            caller.socket.close()
    return Calls(done / passed, failed, busy)


class _Caller:
    """One connection, from its beginning to its end."""

    __slots__ = ("_read", "answers", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(("127.0.0.1", port))
        self.answers = 0
        self._read = b""

    def is_answered(self) -> bool:
        """Whether one more answer has arrived whole. Raises when the other side ends, or says something else."""
        got = self.socket.recv(65_536)
        if not got:
            raise ConnectionError("the connection was closed")
        self._read += got
        if len(self._read) < _HEAD or len(self._read) < _HEAD + int.from_bytes(self._read[2:6], "big"):
            return False
        if self._read[0] != _EXPECTED[self.answers]:
            raise ConnectionError(f"answered by a PDU of type {self._read[0]:02X}")
        self.answers += 1
        self._read = b""
        return True
