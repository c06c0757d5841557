"""A process that works on pixels and nothing else: it has no database, no keys and no network.

Started by `pool`, as `python -m gateway.pixels.worker FD`. Its parent asks over that descriptor, one task after
another, and ends it by closing the descriptor.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final

from gateway.pixels.compressing import compressed
from gateway.pixels.correcting import corrected
from gateway.pixels.decoding import decoded
from gateway.pixels.faults import BrokenPixels, PixelFault, TooManyPixels
from gateway.pixels.preview import preview

TASKS: Final[dict[str, Callable[..., Any]]] = {
    "decoded": decoded, "compressed": compressed, "corrected": corrected, "preview": preview,
}  # fmt: skip


def answer_of(task: str, arguments: tuple[Any, ...]) -> Any:
    """What the task gives, or the fault that it raises."""
    try:
        return TASKS[task](*arguments)
    except PixelFault as fault:
        return fault
    except MemoryError:
        return TooManyPixels("the pixels do not fit into memory", place="PixelData")
    except OSError as error:
        return error
    except Exception as error:
        return BrokenPixels(f"the instance cannot be read: {type(error).__name__}", place="data set")


def serve(connection: Connection, most_bytes: int) -> None:
    """Do tasks until the parent is gone, in at most `most_bytes` of address space."""
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    while True:
        try:
            task, arguments = connection.recv()
        except EOFError:
            return
        connection.send(answer_of(task, arguments))


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), int(sys.argv[2]))
