"""Empty databases for benchmarks, each with a folder of its own for what its gateway writes."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench import postgres

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
NAMES: Final = {"sqlite": SQLITE, "postgres": POSTGRESQL, "postgresql": POSTGRESQL}
"""What a database is called on the command line -> what tables call the database."""


def empty_database(stack: ExitStack, database: str, name: str) -> tuple[Path, str]:
    """A folder and the URL of an empty database, `SQLITE` in the folder or `POSTGRESQL`, until `stack` is closed.

    name: of the benchmark.
    """
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"bench-{name}-")))
    if database == POSTGRESQL:
        url, _ = stack.enter_context(postgres.database())
        return folder, url
    return folder, f"sqlite:///{folder}/gateway.db"
