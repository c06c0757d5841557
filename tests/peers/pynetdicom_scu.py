"""An association of pynetdicom's SCU whose answers are not lost."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

from pynetdicom.pdu_primitives import A_ASSOCIATE


class _Held(threading.Event):
    """Is set once, by `let_go`."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()

    def set(self) -> None:
        pass

    def let_go(self) -> None:
        super().set()

    def wait(self, timeout: float | None = None) -> bool:
        self.reached.set()
        return super().wait(timeout)


@contextmanager
def reactor_held(association: Any, seconds: float = 5.0) -> Iterator[None]:
    """Keep the reactor of a requestor's established association from taking answers that somebody waits for.

    Each `send_...` of pynetdicom pauses it, and takes it for paused when it is about to go on: of a server that
    answers at once the answer is then lost. A requestor has no other use for the reactor.
    """
    association._reactor_checkpoint = held = _Held()
    held.reached.wait(seconds)
    try:
        yield
    finally:
        held.let_go()


def rejection(association: Any) -> A_ASSOCIATE | None:
    """The A-ASSOCIATE-RJ of a peer, if that is why there is no association.

    One that comes before pynetdicom has looked whether it is connected is taken for a failed connection; the
    primitive lies where it was put.
    """
    if association.is_rejected:
        return cast(A_ASSOCIATE, association.acceptor.primitive)
    with suppress(queue.Empty):
        waiting = association.dul.to_user_queue.get_nowait()
        if isinstance(waiting, A_ASSOCIATE) and waiting.result:
            return waiting
    return None
