"""Bringing the schema up to date, with alembic, from inside the program: no ini file to find."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final, cast

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect

from gateway.errors import ConfigError
from gateway.store.engine import lock

_ONE_AT_A_TIME: Final = threading.Lock()
"""alembic hands the running migration to `env.py` through variables of its module."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def newest() -> str:
    """The revision that this program needs."""
    return cast(str, ScriptDirectory.from_config(_config()).get_current_head())


def current(connection: Connection) -> str | None:
    """The revision the database has, None if it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine) -> tuple[str | None, str]:
    """Bring the database to `newest()`; returns (revision before, revision after)."""
    with _ONE_AT_A_TIME, engine.begin() as connection:
        lock(connection, "schema")
        before = current(connection)
        command.upgrade(_config(connection), "head")
        return before, newest()


def prepare(engine: Engine) -> None:
    """Give an empty database its tables. Raises `ConfigError` when it has the tables of another version."""
    with engine.connect().execution_options(reading=True) as connection:
        revision = current(connection)
        empty = not inspect(connection).get_table_names()
    if revision == newest():
        return
    if revision is None and empty:
        upgrade(engine)
        return
    if revision is None:
        raise ConfigError(["database.url: the database holds tables that are not the gateway's; give it an empty one"])
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision in known:
        raise ConfigError(
            [f"database: its schema is {revision}, this program needs {newest()}: run 'gateway db upgrade'"]
        )
    raise ConfigError([f"database: its schema {revision} is newer than this program; install the newer gateway"])
