"""Statements that one test's engine compiled serve the engines of the tests after it.

SQLAlchemy keeps what it compiled with the engine, and each test opens an engine of its own: a tenth of the CPU of a
test that starts a gateway went into compiling what the test before it had compiled.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

_COMPILED: Final[LRUCache[Any, Any]] = LRUCache(3000)


def share() -> None:
    """Let all engines of this process keep what they compile in one place, each kind of database by itself."""
    event.listen(Engine, "engine_connect", _use)
    DefaultDialect.__eq__ = _is_alike  # type: ignore[method-assign, assignment]
    DefaultDialect.__hash__ = _kind  # type: ignore[method-assign, assignment]


def _use(connection: Connection) -> None:
    connection.execution_options(compiled_cache=_COMPILED)


def _is_alike(self: DefaultDialect, other: object) -> bool:
    """The key of what was compiled begins with the dialect, of which each engine makes one."""
    return type(self) is type(other)


def _kind(self: DefaultDialect) -> int:
    return hash(type(self))
