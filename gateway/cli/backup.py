"""`backup`."""

from __future__ import annotations

import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.commands import cli
from gateway.cli.context import NAME_IT, configuration, with_store
from gateway.cli.options import ConfigFile
from gateway.cli.output import CommandFailure, complain, say
from gateway.clock import now
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from gateway.config.tree import Config
    from gateway.store.backup import Backup

REPORT_SECONDS = 5.0
_TERMINATED = 128 + signal.SIGTERM
"""Exit code of a program that SIGTERM ended."""


@cli.command(epilog="Example: gateway backup gateway-2026-01-23.db")
def backup(
    file: Annotated[Path, typer.Argument(help="New file for the copy; an existing one is never overwritten")],
    config: ConfigFile = None,
) -> None:
    """Copy the SQLite database, also while the gateway runs, and check the copy."""
    from gateway.store.backup import back_up
    from gateway.store.engine import sqlite_file

    settings = configuration(config)
    database = sqlite_file(settings.database.url)
    if database is None:
        raise CommandFailure(
            "this database is PostgreSQL, which has a program of its own for that: "
            f"pg_dump --format=custom --file={file} DATABASE (docs/operations.md, Backup and restore)"
        )
    if not database.exists():
        raise CommandFailure(f"there is no database {database.absolute()}; {NAME_IT}")
    # The copy is taken away on the way out.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(_TERMINATED))
    begun = reported = time.monotonic()

    def report(done: int, whole: int) -> None:
        nonlocal reported
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            complain(f"{done / 1e6:,.0f} of about {whole / 1e6:,.0f} MB")

    made = back_up(database, file, on_progress=report)
    _note(settings, made)
    seconds = time.monotonic() - begun
    say(f"{made.path}: {made.bytes / 1e6:,.1f} MB of schema {made.schema}, checked, in {seconds:.1f} s")


def _note(settings: Config, made: Backup) -> None:
    """Let the database know, for `gateway status`. A backup that cannot be noted is one all the same."""
    from gateway.store import backups

    note = partial(backups.add, file=made.path.absolute(), bytes=made.bytes, now=now())
    try:
        with_store(settings, lambda store: store.write(note))
    except GatewayError as error:
        complain(f"the backup is made, but 'gateway status' does not know of it: {error}")
