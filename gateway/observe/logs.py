"""Logging: one place that decides what a line may hold.

Errors speak of fields and values, and values are patients' data. Unless `log.phi` is on, an exception in a log line is
its class and place, and a traceback is its frames, without messages. Warnings that libraries raise, and errors that
nobody caught, go the same way. Whatever a peer has written is escaped in every record, so that no call needs to.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor

from gateway.errors import GatewayError
from gateway.observe.quoting import WITHOUT_VALUES, on_lines, on_one_line
from gateway.observe.repeats import CountingHandler

PHI_KEYS: Final = frozenset({"patient_id", "patient_name", "accession", "birth_date", "body", "values"})
TALKATIVE: Final = ("pynetdicom", "pydicom", "sqlalchemy", "aiohttp.access", "alembic", "asyncio")
"""Libraries that print data sets, statements and request lines when they are let."""

log = logging.getLogger(__name__)


class _WithoutValues(logging.Filter):
    """Replaces exceptions in a record, and its traceback, by what says no value."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _plain(record.msg)
        if isinstance(record.args, Mapping):
            record.args = {key: _plain(value) for key, value in record.args.items()}
        elif record.args:
            record.args = tuple(_plain(value) for value in record.args)
        if record.name in WITHOUT_VALUES:
            record.msg, record.args = WITHOUT_VALUES[record.name](record.getMessage()), ()
        return True


class _OnOneLine(logging.Filter):
    """Makes the text of a record a line, and what it says of an exception indented lines below."""

    def __init__(self, phi: bool) -> None:
        super().__init__()
        self._phi = phi

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = on_one_line(record.getMessage())
        except Exception:
            # A record whose values have no text: writing it fails, not the caller.
            return True
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and self._phi:
            text += on_lines("".join(traceback.format_exception(error)))
        elif error is not None:
            first, *below = described(error).splitlines()
            text = "\n".join([f"{text}: {on_one_line(first)}", *map(on_one_line, below)])
        record.msg, record.args = text, ()
        record.exc_info, record.exc_text, record.stack_info = None, None, None
        return True


def _plain(value: Any) -> Any:
    """`value`, with each exception in it named instead of quoted."""
    if isinstance(value, BaseException):
        return _named(value)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return [_plain(item) for item in value]
    return value


def _named(error: BaseException) -> str:
    place = on_one_line(str(error.place)) if isinstance(error, GatewayError) else ""
    return f"{type(error).__name__} at {place}" if place else type(error).__name__


def described(error: BaseException) -> str:
    """An error by its class, place and frames, with what caused it and what it groups."""
    return "\n".join(_lines(error, "", set()))


def _lines(error: BaseException, indent: str, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    yield f"{indent}{_named(error)}" if indent else _named(error)
    yield from (f"{indent}    {frame}" for frame in _frames(error.__traceback__))
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _lines(member, f"{indent}  | ", seen)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and id(cause) not in seen:
        yield from _lines(cause, f"{indent}  from ", seen)


def _frames(trace: TracebackType | None) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(trace)]


def _without_patients(_logger: Any, _method: str, event: EventDict) -> EventDict:
    return {key: "(hidden)" if key in PHI_KEYS else _plain(value) for key, value in event.items()}


def _escaped(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """What a record holds beside its text, which is escaped already."""
    return {key: value if key == "event" or key[0] == "_" else _on_one_line(value) for key, value in event.items()}


def _on_one_line(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {on_one_line(str(key)): _on_one_line(one) for key, one in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return [_on_one_line(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else on_one_line(str(value))


def _of_process(number: int, _logger: Any, _method: str, event: EventDict) -> EventDict:
    return {**event, "process": number}


def _handler(form: str, phi: bool, process: int | None) -> logging.Handler:
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if process is not None:
        shared.append(partial(_of_process, process))
    shared += [_escaped] if phi else [_without_patients, _escaped]
    last: list[Processor] = (
        [structlog.processors.JSONRenderer()]
        if form == "json"
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)]
    )
    handler = CountingHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    return handler


def configure(*, level: str, form: str, phi: bool, process: int | None = None) -> None:
    """Send all logging to standard error, as text for people or as JSON lines. `process`: its number, on each record,
    where a gateway is several."""
    handler = _handler(form, phi, process)
    if not phi:
        handler.addFilter(_WithoutValues())
    handler.addFilter(_OnOneLine(phi))
    root = logging.getLogger()
    before, root.handlers[:] = root.handlers[:], [handler]
    for one in before:
        if isinstance(one, CountingHandler):
            one.close()
    set_level(level)
    # Once more from the start: it does nothing when somebody has put the old way back meanwhile.
    logging.captureWarnings(False)
    logging.captureWarnings(True)
    # A handler that fails would print to standard error what it was about to write, with the exception's values.
    logging.raiseExceptions = False
    threading.excepthook = _thread_failed
    sys.excepthook = _failed


def set_level(level: str) -> None:
    """Write what is of this level or above; talkative libraries say warnings at most."""
    logging.getLogger().setLevel(level.upper())
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    name = failure.thread.name if failure.thread else "?"
    if failure.exc_value is not None:
        log.critical("the thread %s failed", name, exc_info=failure.exc_value)


def _failed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("the program failed", exc_info=(kind, error, trace))
