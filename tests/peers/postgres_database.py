"""Databases on a PostgreSQL server: one for each test, or one that is emptied between them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from psycopg import Connection

_numbers = itertools.count(1)

_EMPTY: Final = """
DO $$
DECLARE place regclass;
BEGIN
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid();
  SET LOCAL session_replication_role = replica;
  FOR place IN SELECT oid FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version' LOOP
    IF pg_relation_size(place) > 1000000 THEN
      EXECUTE format('TRUNCATE %s CASCADE', place);
    ELSE
      EXECUTE format('DELETE FROM %s', place);
    END IF;
  END LOOP;
  PERFORM setval(oid::regclass, 1, false) FROM pg_class
    WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace;
END $$
"""
"""Ends whoever is still connected, deletes all rows and numbers them from 1. Deleting makes no new files, as truncating
does for each table and each index; foreign keys are not looked at meanwhile."""


@contextmanager
def postgres_database(server: str) -> Iterator[str]:
    """The URL of a new, empty database, `postgresql://postgres:@/NAME?host=...`."""
    import psycopg

    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def empty(connection: Connection[Any]) -> None:
    """Take all rows out of the database of `connection`, and everybody else's connections."""
    connection.execute(_EMPTY)
