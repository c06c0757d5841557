"""`run` and `demo`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, read_again
from gateway.cli.options import ConfigFile
from gateway.cli.output import CommandFailure, say
from gateway.cli.processes import GRACE_SECONDS, report_ready, serve_in_processes, watch_parent

if TYPE_CHECKING:
    from gateway.assembly.processes.place import ProcessPlace
    from gateway.config.tree import Config

log = logging.getLogger(__name__)


@cli.command(epilog="Example: gateway run -c gateway.yaml --processes 2")
def run(
    paused: Annotated[
        bool, typer.Option("--paused", help="Send nothing to EHRs and destinations until 'gateway resume'")
    ] = False,
    processes: Annotated[
        int, typer.Option("--processes", min=1, max=64, help="Serve with so many processes (PostgreSQL alone)")
    ] = 1,
    config: ConfigFile = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C. SIGHUP reloads mappings, scanners, certificates, tokens and the log level."""
    from gateway.assembly import shares
    from gateway.assembly.open_doors import open_doors
    from gateway.assembly.processes.place import ALONE
    from gateway.clock import now

    # From here on files are read; what asks for a reload before one is possible is kept by the system until it is.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    settings = configuration(config)
    shares.warn_of_want(settings, shares.raise_limit())
    for door in open_doors(settings, None, now()):
        log.warning("open: %s: %s", door.what, door.detail)

    reread = partial(read_again, config)
    if processes == 1:
        asyncio.run(_serve(settings, reread, ALONE, paused=paused))
    else:
        serve_in_processes(processes, settings, reread, partial(_serve, paused=paused))


async def _serve(settings: Config, reread: Callable[[], Config], place: ProcessPlace, *, paused: bool) -> None:
    from gateway.assembly import process as app
    from gateway.assembly.collector import spared
    from gateway.assembly.http import FACADE, address_of
    from gateway.assembly.processes.place import RELOAD_ALONE
    from gateway.store.engine import sqlite_file

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watch_parent(place, stop)
    paused = paused and place.is_first
    async with app.running(settings, paused=paused, reread=reread, place=place) as gateway:
        ports = ", ".join(f"HL7 {name} {port}" for name, port in gateway.hl7_ports.items())
        console = address_of(settings, gateway.http_port)
        studies = f", studies {console}{FACADE}" if settings.facade.enabled else ""
        lines = [f"ready: {ports}, DICOM {gateway.dicom_port}, console {console}/{studies}"]
        if (file := sqlite_file(settings.database.url)) is not None:
            lines.append(f"database: {file.absolute()}")
        if gateway.first_link:
            link = f"{console}{gateway.first_link}"
            lines.append(f"nobody can log in yet; the first admin sets a password, within a day: {link}")
        async with _reloading({signal.SIGHUP: gateway.reload_all, RELOAD_ALONE: gateway.reload}):
            report_ready(place, lines)
            async with spared():
                await stop.wait()
        _end_within(settings.database.answer_seconds + GRACE_SECONDS)
        log.info("stopping: what is under way is finished or handed back")
    log.info("stopped")


@asynccontextmanager
async def _reloading(reloads: Mapping[int, Callable[[], Awaitable[object]]]) -> AsyncIterator[None]:
    """While the context is open, a signal calls what belongs to it; once, if it came before, since it was blocked. From
    its end on the signals are ignored: the default is to end the process."""
    loop, tasks = asyncio.get_running_loop(), set[asyncio.Future[object]]()

    def begin(reload: Callable[[], Awaitable[object]]) -> None:
        task = asyncio.ensure_future(reload())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    for number in reloads:
        # Not by the loop, which restores the default when it closes. Its handlers of other signals let it wake.
        signal.signal(number, lambda number, _frame: loop.call_soon_threadsafe(begin, reloads[number]))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, reloads)
    try:
        yield
    finally:
        for number in reloads:
            # Blocking them would not do: another thread would get them.
            signal.signal(number, signal.SIG_IGN)
        await asyncio.sleep(0)  # what came before has begun
        await asyncio.gather(*tasks, return_exceptions=True)


def _end_within(seconds: float) -> None:
    """End the process if its stop takes longer: a thread that waits for a database which hangs cannot be ended."""

    def end() -> None:
        log.error("not stopped within %g s, ended all the same; nothing that was acknowledged is lost", seconds)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


@cli.command(epilog="Example: gateway demo --once")
def demo(
    once: Annotated[bool, typer.Option("--once", help="Play the loop one time and exit")] = False,
) -> None:
    """Play the whole loop with simulators on a temporary SQLite database, and tell it step by step."""
    from gateway.assembly.demo import DemoFailed
    from gateway.assembly.demo import demo as play
    from gateway.observe import logs

    logs.configure(level="warning", form="console", phi=False)
    try:
        asyncio.run(play(say, once=once))
    except DemoFailed as error:
        raise CommandFailure(f"the demo failed: {error}") from error
    except KeyboardInterrupt:
        say("")
