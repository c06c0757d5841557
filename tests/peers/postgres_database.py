"""Databases on a PostgreSQL server, one for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager

_numbers = itertools.count(1)


@contextmanager
def postgres_database(server: str, template: str = "") -> Iterator[str]:
    """The URL of a new database, `postgresql://postgres:@/NAME?host=...`: empty, or a copy of `template`."""
    import psycopg

    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
