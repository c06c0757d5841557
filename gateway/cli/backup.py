"""`backup`."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.commands import cli
from gateway.cli.context import configuration
from gateway.cli.options import ConfigFile
from gateway.cli.output import CommandFailure, complain, say

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

    database = sqlite_file(configuration(config).database.url)
    if database is None:
        raise CommandFailure(
            "this database is PostgreSQL, which has a program of its own for that: "
            f"pg_dump --format=custom --file={file} DATABASE (docs/operations.md, Backup and restore)"
        )
    if not database.exists():
        raise CommandFailure(f"there is no database {database.absolute()}; name the gateway's configuration with -c")
    # The copy is taken away on the way out.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(_TERMINATED))
    begun = reported = time.monotonic()

    def report(done: int, whole: int) -> None:
        nonlocal reported
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            complain(f"{done / 1e6:,.0f} of about {whole / 1e6:,.0f} MB")

    made = back_up(database, file, on_progress=report)
    seconds = time.monotonic() - begun
    say(f"{made.path}: {made.bytes / 1e6:,.1f} MB of schema {made.schema}, checked, in {seconds:.1f} s")
