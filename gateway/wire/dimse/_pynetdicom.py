"""What pynetdicom needs before it is used: settings of the process, and one of each association."""

from __future__ import annotations

import logging
import pkgutil
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, cast

import pynetdicom
from pynetdicom import _config
from pynetdicom.pdu_primitives import A_ASSOCIATE

_LOGGER = logging.getLogger("pynetdicom")


def configure() -> None:
    """Keep patients out of the log, and send files as they are.

    pynetdicom writes identifiers at INFO and DEBUG, and the text of an exception, in which a value may stand,
    at ERROR: the levels below WARNING are closed, and of an exception only its class is let through.
    """
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.STORE_SEND_CHUNKED_DATASET = True
    if _LOGGER.level < logging.WARNING:
        _LOGGER.setLevel(logging.WARNING)
    # A filter does not reach the records of child loggers, and a module may be imported, or its logger made, later.
    for name in _modules():
        logging.getLogger(name).addFilter(_name_the_class_only)


@cache
def _modules() -> tuple[str, ...]:
    """The names of pynetdicom's modules, which are those of its loggers."""
    return tuple(module.name for module in pkgutil.iter_modules(pynetdicom.__path__, "pynetdicom."))


def _name_the_class_only(record: logging.LogRecord) -> bool:
    if record.exc_info and record.exc_info[0]:
        record.msg, record.args = f"{record.exc_info[0].__name__} in {record.funcName}", ()
        record.exc_info = record.exc_text = None
    return True


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
