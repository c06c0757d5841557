"""A database file with our tables, which the first process of the tests that needs it makes for all: half a second of
CPU, as often as there are workers. It stands in pytest's cache, by all that it was made of."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Final

import gateway.store
from gateway.store import migrations
from gateway.store.engine import open_engine

_CACHE: Final = Path(__file__).parent.parent / ".pytest_cache" / "tables"


def sqlite_file() -> Path:
    """The file; whoever writes copies it, which takes a fiftieth of the time."""
    sources = [path.read_bytes() for path in sorted(Path(gateway.store.__path__[0]).rglob("*.py"))]
    file = _CACHE / f"{hashlib.sha256(b''.join(sources)).hexdigest()}.db"
    if not file.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as folder:  # of this process alone, whichever was killed before it
            make(f"sqlite:///{folder}/gateway.db")
            Path(folder, "gateway.db").replace(file)
    return file


def make(url: str) -> None:
    """Give the empty database at `url` our tables."""
    engine = open_engine(url)
    migrations.upgrade(engine)
    engine.dispose()
