"""`db upgrade`, `db copy`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.commands import db
from gateway.cli.context import NAME_IT, configuration
from gateway.cli.options import ConfigFile
from gateway.cli.output import CommandFailure, complain, say

if TYPE_CHECKING:
    from gateway.store.copying import Copied

REPORT_SECONDS: Final = 2.0


@db.command(epilog="Example: gateway db upgrade -c gateway.yaml")
def upgrade(config: ConfigFile = None) -> None:
    """Bring the database's tables to this program's version. Make a backup first, and stop the gateway."""
    from sqlalchemy.exc import DBAPIError

    from gateway.assembly.instance_lock import hold_instance_lock
    from gateway.store import migrations
    from gateway.store.engine import open_engine
    from gateway.store.outages import reason_of

    database = configuration(config).database
    url = database.url
    with ExitStack() as stack:
        hold_instance_lock(url, stack)
        # Building an index may take any time, but only of a server that answers.
        asked = open_engine(url, answer_seconds=database.answer_seconds)
        stack.callback(asked.dispose)
        engine = open_engine(url)
        stack.callback(engine.dispose)
        try:
            with asked.connect().execution_options(reading=True) as connection:
                migrations.current(connection)
            before, after = migrations.upgrade(engine)
        except DBAPIError as error:
            raise CommandFailure(f"the database refuses: {reason_of(error)}") from error
    say(f"schema {before or '(none)'} -> {after}" if before != after else f"schema {after}: nothing to do")


@db.command(epilog="Example: gateway db compact -c gateway.yaml")
def compact(config: ConfigFile = None) -> None:
    """Rewrite the SQLite file without its free space; stop the gateway. Needs as much free space as the file has."""
    import shutil
    import sqlite3

    from gateway.assembly.instance_lock import hold_instance_lock
    from gateway.store import free_space
    from gateway.store.engine import sqlite_file

    url = configuration(config).database.url
    file = sqlite_file(url)
    if file is None:
        raise CommandFailure("this database is PostgreSQL: VACUUM FULL gives space back (docs/retention.md)")
    if not file.exists():
        raise CommandFailure(f"there is no database {file.absolute()}; {NAME_IT}")
    if shutil.disk_usage(file.absolute().parent).free < file.stat().st_size:
        raise CommandFailure(f"{file.absolute().parent} has less than the {file.stat().st_size:,} bytes free it needs")
    with ExitStack() as stack:
        hold_instance_lock(url, stack)
        try:
            before, after = free_space.compact(file)
        except sqlite3.Error as error:
            raise CommandFailure(f"the database refuses, and is as it was: {error}") from error
    say(f"{file}: {before / 1e6:,.1f} MB before, {after / 1e6:,.1f} MB after")


@db.command("copy", epilog="Example: gateway db copy sqlite:///gateway.db postgresql://gateway@db.example.org/gateway")
def copy_database(
    source: Annotated[str, typer.Argument(metavar="FROM", help="Address of the SQLite file; stop its gateway")],
    target: Annotated[str, typer.Argument(metavar="TO", help="Address of a PostgreSQL database without rows")],
) -> None:
    """Copy an SQLite database to PostgreSQL: all rows in one transaction, counted on both sides.

    Then name the new database in database.url and start the gateway. The password comes from ~/.pgpass or PGPASSWORD.
    """
    from gateway.assembly.instance_lock import hold_instance_lock
    from gateway.store.engine import sqlite_file

    file = sqlite_file(source)
    if file is not None and not file.exists():
        raise CommandFailure(f"there is no database {file.absolute()}")
    with ExitStack() as stack:
        hold_instance_lock(source, stack)
        copied = _copy(source, target, stack)
    if copied.replaced:
        complain(f"the character NUL was replaced in {copied.replaced:,} texts: PostgreSQL does not keep it")
    say(f"{sum(copied.rows.values()):,} rows of {len(copied.rows)} tables copied and counted")


def _copy(source: str, target: str, stack: ExitStack) -> Copied:
    from sqlalchemy.exc import DBAPIError

    from gateway.store.copying import copy
    from gateway.store.engine import open_engine
    from gateway.store.outages import reason_of

    engines = [open_engine(url) for url in (source, target)]
    for engine in engines:
        stack.callback(engine.dispose)
    try:
        return copy(engines[0], engines[1], on_progress=_reporter())
    except DBAPIError as error:
        raise CommandFailure(f"the database refuses, nothing was copied: {reason_of(error)}") from error


def _reporter() -> Callable[[str, int, int], None]:
    reported = time.monotonic()

    def report(table: str, done: int, whole: int) -> None:
        nonlocal reported
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            complain(f"{table}: {done:,} of {whole:,} rows")

    return report
