"""A cause that repeats is written once and then counted: a fault of every image of a study is no thousand lines."""

from __future__ import annotations

import copy
import logging
import re
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from threading import Timer
from typing import Any, Final, TextIO

from gateway.observe.quoting import WITHOUT_VALUES

SECONDS: Final = 60.0
MOST_CAUSES: Final = 1000
LEAST: Final = logging.WARNING
"""What is below tells of single events, such as a listener that has started."""
_PARTICULARS: Final = re.compile(r"'[^']*'|\b[0-2](?:\.\d+){4,}\b|(?<!HTTP )(?<![\w.:])\d+(?![\w.:])")
"""Quoted values, UIDs and numbers, but no addresses: what differs from instance to instance."""


@dataclass(slots=True)
class _CountedCause:
    ends: float
    count: int = 0
    """Records that were not written."""
    newest: logging.LogRecord | None = None


class CountingHandler(logging.StreamHandler[TextIO]):
    """Writes the first record of a cause at once; of those that follow within `seconds` the newest, when the time is
    over or the handler closes, with their number as `repeated`."""

    def __init__(
        self, stream: TextIO, *, seconds: float = SECONDS, most_causes: int = MOST_CAUSES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        super().__init__(stream)
        self._seconds = seconds
        self._most_causes = most_causes
        self._clock = clock
        self._windows: dict[Hashable, _CountedCause] = {}
        """In the order in which they end."""
        self._timer: Timer | None = None

    def handle(self, record: logging.LogRecord) -> bool:
        # The filters make text of values and errors; the cause is what they were.
        cause = _cause_or_none(record)
        passed = bool(self.filter(record))
        if passed:
            self.acquire()
            try:
                self._take(cause, record)
            finally:
                self.release()
        return passed

    def _take(self, cause: Hashable | None, record: logging.LogRecord) -> None:
        now = self._clock()
        self._end_windows(now)
        window = self._windows.get(cause)
        if cause is None or window is None:
            self.emit(record)
        else:
            window.count, window.newest = window.count + 1, record
            self._watch(window.ends - now)
        if cause is not None and window is None:
            if len(self._windows) >= self._most_causes:
                self._write(self._windows.pop(next(iter(self._windows))))
            self._windows[cause] = _CountedCause(now + self._seconds)

    def _end_windows(self, now: float) -> None:
        while self._windows:
            cause, window = next(iter(self._windows.items()))
            if window.ends > now:
                break
            del self._windows[cause]
            if window.count:
                self._write(window)
                self._windows[cause] = _CountedCause(now + self._seconds)

    def _write(self, window: _CountedCause) -> None:
        if window.newest is not None:
            record = copy.copy(window.newest)
            record.repeated = window.count
            self.emit(record)

    def _watch(self, seconds: float) -> None:
        """The line comes when its time is over, also when nothing else is logged then."""
        if self._timer is None:
            self._timer = Timer(max(seconds, 0.0), self._time_over)
            self._timer.daemon = True
            self._timer.start()

    def _time_over(self) -> None:
        self.acquire()
        try:
            self._timer, now = None, self._clock()
            self._end_windows(now)
            counted = next((window for window in self._windows.values() if window.count), None)
            if counted is not None:
                self._watch(counted.ends - now)
        finally:
            self.release()

    def close(self) -> None:
        """Write what was counted. `logging` does it when the program ends."""
        self.acquire()
        try:
            for window in self._windows.values():
                self._write(window)
            self._windows.clear()
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
        finally:
            self.release()
        super().close()


def _cause_or_none(record: logging.LogRecord) -> Hashable | None:
    """None for a record that is written each time."""
    try:
        return cause_of(record) if record.levelno >= LEAST else None
    except Exception:
        # A record whose values have no text: writing it must fail, not the caller.
        return None


def cause_of(record: logging.LogRecord) -> Hashable:
    """What two records of the same cause have in common: where they come from, and their text without particulars."""
    if record.name in WITHOUT_VALUES:
        return record.name, record.levelno, WITHOUT_VALUES[record.name](record.getMessage())
    given = record.args or ()
    values = given.values() if isinstance(given, Mapping) else given
    error = record.exc_info[1] if record.exc_info else None
    return record.name, record.levelno, _part(record.msg), *map(_part, values), _part(error), _line_of(error)


def _part(value: Any) -> str:
    if isinstance(value, BaseException):
        return f"{type(value).__name__} at {getattr(value, 'place', '')}"
    return "" if isinstance(value, int | float) else _PARTICULARS.sub("N", str(value))


def _line_of(error: BaseException | None) -> int:
    trace = error.__traceback__ if error is not None else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_lineno if trace is not None else 0
