"""Bringing the schema up to date, with alembic, from inside the program: no ini file to find.

Whether anything is to be done is read from the table that alembic keeps and from the names of the migrations; alembic
itself takes a third of a second to load, which only those wait for whose schema changes.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, inspect, text

from gateway.errors import ConfigError
from gateway.store.engine import lock

if TYPE_CHECKING:
    from alembic.config import Config

_ONE_AT_A_TIME: Final = threading.Lock()
"""alembic hands the running migration to `env.py` through variables of its module."""
_VERSIONS: Final = "alembic_version"


def _config(connection: Connection | None = None) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@cache
def revisions() -> tuple[str, ...]:
    """All revisions that this program knows, oldest first; each is the number that its file begins with."""
    return tuple(sorted(file.name.partition("_")[0] for file in (Path(__file__).parent / "versions").glob("*.py")))


def newest() -> str:
    """The revision that this program needs."""
    return revisions()[-1]


def current(connection: Connection) -> str | None:
    """The revision the database has, None if it has none."""
    if not inspect(connection).has_table(_VERSIONS):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {_VERSIONS}")).scalar()
    return str(found) if found is not None else None


def upgrade(engine: Engine) -> tuple[str | None, str]:
    """Bring the database to `newest()`; returns (revision before, revision after)."""
    from alembic import command

    with _ONE_AT_A_TIME, engine.begin() as connection:
        lock(connection, "schema")
        before = current(connection)
        command.upgrade(_config(connection), "head")
        return before, newest()


def prepare(engine: Engine) -> None:
    """Give an empty database its tables. Raises as `has_tables` does."""
    if not has_tables(engine):
        upgrade(engine)


def has_tables(engine: Engine) -> bool:
    """Whether the database has the tables that this program needs; False: it is empty. Raises `ConfigError` when it has
    the tables of another version, or of others."""
    with engine.connect().execution_options(reading=True) as connection:
        revision = current(connection)
        if revision == newest():
            return True
        empty = not inspect(connection).get_table_names()
    if revision is None and empty:
        return False
    if revision is None:
        raise ConfigError(["database.url: the database holds tables that are not the gateway's; give it an empty one"])
    if revision in revisions():
        raise ConfigError(
            [f"database: its schema is {revision}, this program needs {newest()}: run 'gateway db upgrade'"]
        )
    raise ConfigError([f"database: its schema {revision} is newer than this program; install the newer gateway"])
