"""The store's tests share one PostgreSQL database, emptied for each test: bringing a new one up costs a second."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.store import migrations
from gateway.store.engine import open_engine
from gateway.store.schema import metadata


@pytest.fixture(scope="session")
def _shared_postgres(postgres_server: str) -> Iterator[str]:
    import psycopg

    name = f"store_{os.getpid()}"
    url = postgres_server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        engine = open_engine(url)
        migrations.upgrade(engine)
        engine.dispose()
        yield url
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def shared_postgres(_shared_postgres: str) -> str:
    """The URL of a PostgreSQL database with our tables, all of them empty."""
    engine = open_engine(_shared_postgres)
    with engine.begin() as connection:
        names = ", ".join(f'"{name}"' for name in metadata.tables)
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    engine.dispose()
    return _shared_postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with our tables and without rows, once of each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "gateway.db")
        return f"sqlite:///{tmp_path}/gateway.db"
    url: str = request.getfixturevalue("shared_postgres")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/gateway.db"
    url: str = request.getfixturevalue("postgres_url")
    return url
