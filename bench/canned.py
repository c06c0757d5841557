"""`python -m bench.canned FOLDER PORT`: a DICOM server of answers made beforehand, for the callers of this benchmark.

It shows how much of a figure is the caller's own.
"""

from __future__ import annotations

import select
import socket
import sys
from pathlib import Path

from pydicom import dcmread

from bench import dicom_client
from bench.dicom_client import encoded

_FIND = dicom_client.WORKLIST.encode()


def main() -> None:
    items = [dcmread(path) for path in sorted(Path(sys.argv[1]).glob("*.wl"))]
    found = dicom_client.find_answer(map(encoded, items))
    with socket.create_server(("127.0.0.1", int(sys.argv[2])), backlog=600) as door, select.epoll() as ready:
        ready.register(door, select.EPOLLIN)
        connections: dict[int, socket.socket] = {}
        while True:
            for number, _ in ready.poll():
                if number == door.fileno():
                    caller, _ = door.accept()
                    caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    connections[caller.fileno()] = caller
                    ready.register(caller, select.EPOLLIN)
                elif not _answered(connections[number], found):
                    connections.pop(number).close()


def _answered(caller: socket.socket, found: bytes) -> bool:
    """Each request of these callers arrives whole, and none before the last was answered."""
    try:
        request = caller.recv(65_536)
        match request[:1]:
            case b"\x01":
                caller.sendall(dicom_client.ASSOCIATION_ANSWER)
            case b"\x04":
                caller.sendall(found if _FIND in request else dicom_client.ECHO_ANSWER)
            case b"\x05":
                caller.sendall(dicom_client.RELEASE_ANSWER)
            case _:
                return False
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
