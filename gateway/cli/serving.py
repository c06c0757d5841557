"""`run` and `demo`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration, read_again
from gateway.cli.options import ConfigFile
from gateway.cli.output import CommandFailure, say

if TYPE_CHECKING:
    from gateway.config.tree import Config

log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 15.0
"""For what is under way when a stop is asked for, above the time that a database may take to answer."""


@cli.command(epilog="Example: gateway run -c gateway.yaml")
def run(
    paused: Annotated[
        bool, typer.Option("--paused", help="Send nothing to EHRs and destinations until 'gateway resume'")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C. SIGHUP reloads mappings, scanners, certificates, tokens and the log level."""
    from gateway.assembly import shares
    from gateway.assembly.open_doors import open_doors
    from gateway.clock import now

    settings = configuration(config)
    shares.warn_of_want(settings, shares.raise_limit())
    for door in open_doors(settings, None, now()):
        log.warning("open: %s: %s", door.what, door.detail)

    asyncio.run(_serve(settings, partial(read_again, config), paused=paused))


async def _serve(settings: Config, reread: Callable[[], Config], *, paused: bool) -> None:
    from gateway.assembly import process as app
    from gateway.assembly.collector import spared
    from gateway.assembly.http import FACADE, address_of
    from gateway.store.engine import sqlite_file

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Before all is there, and at the end, there is nothing to reload; the process goes on.
    loop.add_signal_handler(signal.SIGHUP, _nothing)
    async with app.running(settings, paused=paused, reread=reread) as gateway:
        ports = ", ".join(f"HL7 {name} {port}" for name, port in gateway.hl7_ports.items())
        console = address_of(settings, gateway.http_port)
        studies = f", studies {console}{FACADE}" if settings.facade.enabled else ""
        say(f"ready: {ports}, DICOM {gateway.dicom_port}, console {console}/{studies}")
        if (file := sqlite_file(settings.database.url)) is not None:
            say(f"database: {file.absolute()}")
        if gateway.first_link:
            say(f"nobody can log in yet; the first admin sets a password, within a day: {console}{gateway.first_link}")
        sys.stdout.flush()
        async with spared(), _reloading(gateway.reload):
            await stop.wait()
        _end_within(settings.database.answer_seconds + GRACE_SECONDS)
        log.info("stopping: what is under way is finished or handed back")
    log.info("stopped")


def _nothing() -> None:
    """Of a signal that comes too early or too late."""


@asynccontextmanager
async def _reloading(reload: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """While the context is open, SIGHUP calls `reload`."""
    loop, tasks = asyncio.get_running_loop(), set[asyncio.Future[object]]()

    def begin() -> None:
        task = asyncio.ensure_future(reload())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGHUP, begin)
    try:
        yield
    finally:
        loop.add_signal_handler(signal.SIGHUP, _nothing)
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
