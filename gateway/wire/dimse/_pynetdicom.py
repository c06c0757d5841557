"""What pynetdicom needs before its codecs are used: settings of the process."""

from __future__ import annotations

import logging
import pkgutil
from functools import cache

import pynetdicom
from pynetdicom import _config

_LOGGER = logging.getLogger("pynetdicom")


def configure() -> None:
    """Keep patients out of the log.

    pynetdicom writes identifiers at INFO and DEBUG, and the text of an exception, in which a value may stand,
    at ERROR: the levels below WARNING are closed, and of an exception only its class is let through.
    """
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
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
