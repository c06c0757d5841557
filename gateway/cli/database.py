"""`db upgrade`."""

from __future__ import annotations

from contextlib import ExitStack

from gateway.cli.commands import db
from gateway.cli.context import configuration
from gateway.cli.options import ConfigFile
from gateway.cli.output import CommandFailure, say


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
