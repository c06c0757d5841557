"""Associations that pynetdicom requests, whose answers are not lost."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import Any, cast

from pynetdicom import AE, Association
from pynetdicom.pdu_primitives import A_ASSOCIATE

LIVENESS_SECONDS = 0.05


class _Checkpoint(threading.Event):
    """Where the reactor of an association stands while a `send_...` waits for its answer; `clear` waits for that."""

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._reactor = association
        self._changed = threading.Condition()
        self._is_open, self._is_reached = True, False

    def set(self) -> None:
        with self._changed:
            self._is_open = True
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        with self._changed:
            self._is_reached = True
            self._changed.notify_all()
            passed = self._changed.wait_for(lambda: self._is_open, timeout)
            self._is_reached = False
        return passed

    def clear(self) -> None:
        with self._changed:
            self._is_open = False
            # A handler that sends something runs in the reactor itself; a reactor that has ended takes nothing.
            while not self._is_reached and self._reactor.is_alive() and threading.current_thread() is not self._reactor:
                self._changed.wait(LIVENESS_SECONDS)


class _Answered(Association):  # type: ignore[misc]
    """Stands when its checkpoint has been closed, and that alone counts."""

    @property
    def _is_paused(self) -> bool:
        return True

    @_is_paused.setter
    def _is_paused(self, value: bool) -> None:
        pass


def keep_answers(association: Association) -> None:
    """Let each `send_...` on an established association have its answer.

    It pauses the reactor of the association and waits until that states that it is paused, which the reactor also
    states between the end of its last pause and its next look for a message: so the answer to what is sent at once
    after something else, by C-STORE as by N-ACTION, is now and then taken, and thrown away, by the reactor. The thread
    that serves an N-EVENT-REPORT ends with the statement that the reactor is not paused, where a `send_...` then waits
    for ever (pynetdicom 3.0.4, `Association._run_reactor`, `_serve_request`).
    """
    association._reactor_checkpoint = _Checkpoint(association)
    association.__class__ = _Answered


def associate(entity: AE, port: int, *, called: str = "GATEWAY", **more: Any) -> Association:
    """Request an association; `more`: what `AE.associate` takes. It is established or not."""
    association = entity.associate("127.0.0.1", port, ae_title=called, **more)
    keep_answers(association)
    return association


def exchange(association: Association, request: Any) -> Any:
    """Send a request of DIMSE as it is, in the first accepted context of its class; the answer."""
    accepted = association.accepted_contexts
    [context, *_] = [one for one in accepted if one.abstract_syntax == request.AffectedSOPClassUID]
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, context.context_id or 0)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    assert answer is not None, "no answer"
    return answer


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
