"""Starts the processes of a gateway, starts again what dies, hands signals on, and ends when all have ended.

It does nothing else, so that there is little that could end it: no thread, no event loop, no database. The processes
are forked from it: modules and tables that are loaded before are in memory once.
"""

from __future__ import annotations

import logging
import os
import secrets
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.assembly.processes.child import Child, ended
from gateway.assembly.processes.place import RELOAD_ALONE, RELOADS, ProcessPlace
from gateway.assembly.processes.ports import OpenPorts
from gateway.errors import ConfigError, GatewayError

RELOAD_SECONDS: Final = 10.0
"""For the process that reloads first; then the others reload without its word."""
KILLED_SECONDS: Final = 5.0
"""After the time that a process has for its stop."""
_STOPS: Final = (signal.SIGTERM, signal.SIGINT)
_HANDED_ON: Final = (*_STOPS, signal.SIGHUP)
_SENT: Final = (*_STOPS, *RELOADS)

log = logging.getLogger(__name__)

Serve = Callable[[ProcessPlace], None]


@dataclass(slots=True)
class Supervisor:
    """`serve` is called in each process, and serves until SIGTERM; what it raises before it is ready keeps it from
    starting. `on_ready` gets the lines that the first process reports of itself, once all serve."""

    processes: int
    ports: OpenPorts
    folder: Path
    serve: Serve
    on_ready: Callable[[Sequence[str]], None]
    stop_seconds: float
    _run: str = field(default_factory=lambda: secrets.token_hex(8))
    _children: list[Child] = field(default_factory=list)
    _lines: Sequence[str] | None = None
    """What the first process that was ready reports; None: none was."""
    _was_ready: bool = False
    _kill_at: float | None = None
    """When what has not stopped is killed, by the monotonic clock; None: no stop was asked for."""
    _reloads: Child | None = None
    """Reloads before the others; None: none does now."""
    _reloads_until: float = 0.0
    _caught: list[int] = field(default_factory=list)
    _woken: socket.socket | None = None

    def run(self) -> None:
        """Until a signal, and all have ended. Raises `ConfigError`, or `Unavailable`, where none can start."""
        self._children = [Child(number) for number in range(1, self.processes + 1)]
        with self._signals():
            try:
                # Alone at first: it makes the tables of a new database, and what keeps it from starting is stated once.
                self._start(self._children[0])
                while not self._is_over():
                    self._look()
            finally:
                self._kill()

    def _is_over(self) -> bool:
        return self._kill_at is not None and not any(child.pid for child in self._children)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        self._woken, waking = socket.socketpair()
        for end in (self._woken, waking):
            end.setblocking(False)
        before = {number: signal.signal(number, self._note) for number in (*_HANDED_ON, signal.SIGCHLD)}
        wakes = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakes)
            # As it was before: what asks for a reload does not end what stops.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
            for number, handler in before.items():
                signal.signal(number, handler)
            for end in (self._woken, waking):
                end.close()

    def _note(self, number: int, _frame: Any) -> None:
        self._caught.append(number)

    def _look(self) -> None:
        """Wait until something happens, and do what follows."""
        assert self._woken is not None
        channels = {child.channel: child for child in self._children if child.channel is not None}
        readable, _, _ = select.select([self._woken, *channels], [], [], self._seconds())
        if self._woken in readable:
            self._woken.recv(4096)
        for channel in readable:
            if channel in channels:
                self._receive(channels[channel])
        while self._caught:
            if (number := self._caught.pop(0)) != signal.SIGCHLD:
                self._hand_on(number)
        for child in self._children:
            if child.pid:
                self._reap(child)
        self._reload_others()
        self._start_due()
        if self._kill_at is not None and time.monotonic() > self._kill_at:
            self._kill()

    def _seconds(self) -> float | None:
        """How long nothing is to be done of itself."""
        moments = [child.due_at for child in self._children if child.due_at is not None]
        if self._reloads is not None:
            moments.append(self._reloads_until)
        if self._kill_at is not None:
            moments = [self._kill_at]
        return max(0.0, min(moments) - time.monotonic()) + 0.001 if moments else None

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.due_at is not None and child.due_at <= now and self._kill_at is None:
                self._start(child)

    def _start(self, child: Child) -> None:
        is_first = child.number == 1 and not child.begun_at
        theirs = child.begin()
        place = ProcessPlace(
            child.number, self.processes, is_first, self.ports.seen_by(child.number), f"{self._run}-{child.number}-",
            self.folder, theirs,
        )  # fmt: skip
        # A signal that came between the fork and the process's own handlers would be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SENT)
        child.pid = os.fork()
        if not child.pid:
            self._be(place)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SENT)
        theirs.close()

    def _be(self, place: ProcessPlace) -> None:
        """In the new process: serve, and end."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (*_HANDED_ON, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            for child in self._children:
                if child.channel is not None:
                    child.channel.close()
            # What asks for a reload is kept by the system until the process can reload.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
            self.serve(place)
            code = 0
        except ConfigError as error:
            place.report(faults=[str(fault) for fault in error.faults])
        except GatewayError as error:
            place.report(faults=[str(error)])
        except BaseException:
            log.critical("process %d failed", place.number, exc_info=True)
        finally:
            logging.shutdown()
            os._exit(code)

    def _receive(self, child: Child) -> None:
        for report in child.reports():
            self._apply(child, report)

    def _apply(self, child: Child, report: dict[str, Any]) -> None:
        if "ready" in report:
            child.is_ready, child.faults = True, ()
            self._lines = self._lines or report["ready"]
            for other in self._children:
                if not other.begun_at:
                    other.due_at = time.monotonic()
            if not self._was_ready and all(one.is_ready for one in self._children):
                self._was_ready = True
                self.on_ready(self._lines or ())
        elif "faults" in report:
            child.faults = report["faults"]
        elif "reload" in report:
            self._reloads = None if child is self._reloads else self._reloads
            if report["reload"]:
                self._signal(RELOAD_ALONE, but=child)

    def _reload(self) -> None:
        """Let a process that serves reload, and the others when it has: what has a fault is read and stated once."""
        self._reloads = next((child for child in self._children if child.pid and child.is_ready), None)
        self._reloads_until = time.monotonic() + RELOAD_SECONDS
        if self._reloads is not None:
            os.kill(self._reloads.pid, signal.SIGHUP)
        else:
            self._signal(RELOAD_ALONE)

    def _reload_others(self) -> None:
        """Where the process that reloads first has died, or does not state how it went."""
        if (first := self._reloads) is None or (first.pid and time.monotonic() <= self._reloads_until):
            return
        self._reloads = None
        self._signal(RELOAD_ALONE, but=first)

    def _hand_on(self, number: int) -> None:
        if number == signal.SIGHUP:
            if self._kill_at is None:
                self._reload()
            return
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self.stop_seconds + KILLED_SECONDS
            # This process accepts nothing, and a socket listens until the last process has closed it.
            self.ports.close()
        self._signal(signal.SIGTERM)

    def _signal(self, number: int, but: Child | None = None) -> None:
        for child in self._children:
            if child.pid and child is not but:
                os.kill(child.pid, number)

    def _reap(self, child: Child) -> None:
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if not pid:
            return
        while child.channel is not None:
            self._receive(child)
        child.pid = 0
        self.ports.counts.absent(child.number - 1)
        if self._kill_at is not None:
            return
        if self._lines is None:
            raise child.fault(status)
        child.wait()
        self._end_where_none_starts(child, status)
        # A logger for each: what happens to one is not counted as a repetition of what happened to another.
        logging.getLogger(f"{__name__}.{child.number}").error(
            "process %d (pid %d) %s; it is started again %s%s", child.number, pid, ended(status),
            f"in {child.pause:g} s" if child.pause else "now", "".join(f": {fault}" for fault in child.faults),
        )  # fmt: skip

    def _end_where_none_starts(self, child: Child, status: int) -> None:
        """Raises what has kept each from starting the last time, if it is the same."""
        if child.faults and all(not one.is_ready and one.faults == child.faults for one in self._children):
            raise child.fault(status)

    def _kill(self) -> None:
        for child in self._children:
            if child.pid:
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                log.error("process %d (pid %d) was ended, it did not stop", child.number, child.pid)
                child.pid = 0
            child.close()
