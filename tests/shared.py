"""Databases that the tests of a file share, for a gateway of the file: to start a gateway takes a test as long as fifty
requests do. Such tests use identifiers of their own, and begin and end in the event loop of the file:
`pytestmark = pytest.mark.asyncio(loop_scope="module")`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conftest import postgres_tables
from tests.peers.postgres_database import empty


@pytest.fixture(scope="module")
def file_sqlite_url(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of `gateway.db` in a folder of its own, with our tables and without rows."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copy(sqlite_template, folder / "gateway.db")
    return f"sqlite:///{folder}/gateway.db"


@pytest.fixture(scope="session")
def _file_postgres_tables(postgres_server: str) -> Iterator[tuple[str, psycopg.Connection]]:
    """Another database than that of `shared_postgres`, which a test of such a file may use beside."""
    with postgres_tables(postgres_server) as tables:
        yield tables


@pytest.fixture(scope="module")
def _file_postgres_url(_file_postgres_tables: tuple[str, psycopg.Connection]) -> str:
    url, connection = _file_postgres_tables
    empty(connection)
    return url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def file_database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database that the tests of the file share, once of each kind."""
    url: str = request.getfixturevalue("file_sqlite_url" if request.param == "sqlite" else "_file_postgres_url")
    return url
