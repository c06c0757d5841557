"""`run --processes`: what the command does in the process that starts the others, and in each of these."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway.cli.output import say_lines
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.assembly.processes.place import ProcessPlace
    from gateway.config.tree import Config

log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 15.0
"""For what is under way when a stop is asked for, above the time that a database may take to answer."""

Serve = Callable[["Config", Callable[[], "Config"], "ProcessPlace"], Coroutine[Any, Any, None]]


def serve_in_processes(number: int, settings: Config, reread: Callable[[], Config], serve: Serve) -> None:
    """Serve with so many processes until SIGTERM. Raises `ConfigError`, or `Unavailable`, where none can start."""
    # Loaded before the processes are made, so that they share it.
    import gateway.assembly.process  # noqa: F401
    from gateway.assembly.processes.ports import OpenPorts
    from gateway.assembly.processes.supervisor import Supervisor
    from gateway.store.engine import sqlite_file

    if sqlite_file(settings.database.url) is not None:
        raise ConfigError(
            ["--processes: SQLite is for one process; leave it out, or bring the data to PostgreSQL (gateway db copy)"]
        )
    ports = OpenPorts.of(settings, number)
    gc.collect()
    gc.freeze()  # what is looked through is written to, and no longer in memory once
    with tempfile.TemporaryDirectory(prefix="gateway-") as folder:
        begin = partial(_begin, settings, reread, serve)
        stop_seconds = settings.database.answer_seconds + GRACE_SECONDS
        Supervisor(number, ports, Path(folder), begin, _print_ready, stop_seconds).run()
    log.info("stopped")


def _begin(settings: Config, reread: Callable[[], Config], serve: Serve, place: ProcessPlace) -> None:
    """In a new process: serve. All but the first take from the files, as they are now, what a reload takes."""
    from gateway.assembly.reloading import in_force
    from gateway.observe import logs

    logs.configure(level=settings.log.level, form=settings.log.format, phi=settings.log.phi, process=place.number)
    if not place.is_first:
        try:
            settings = in_force(settings, reread())
        except ConfigError as error:
            log.warning("the configuration as it was at the start is in force: %s", "; ".join(map(str, error.faults)))
    logs.set_level(settings.log.level)
    asyncio.run(serve(settings, reread, place))


def _print_ready(lines: Sequence[str]) -> None:
    say_lines(lines)
    sys.stdout.flush()


def report_ready(place: ProcessPlace, lines: Sequence[str]) -> None:
    """Print `lines` of a gateway that serves; where it is several processes, once all of them do."""
    if place.parent is None:
        _print_ready(lines)
    else:
        place.report(ready=list(lines))


def watch_parent(place: ProcessPlace, stop: asyncio.Event) -> None:
    """Set `stop` when nobody watches over this process any more: another gateway could take its ports."""
    if (parent := place.parent) is None:
        return

    def ended() -> None:
        log.error("the process that watches over this one has ended: this one stops")
        asyncio.get_running_loop().remove_reader(parent)
        stop.set()

    asyncio.get_running_loop().add_reader(parent, ended)
