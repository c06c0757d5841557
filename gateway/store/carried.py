"""What a connection carries beside its statements, for those who work on it: rows not sent yet, events, keys.

Not `Connection.info`: that is of the driver's connection, which goes back to a pool with all that it carries, is gone
when the database is, and takes long to look up.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection

_NAME: Final = "gateway_carried"
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def carried(connection: Connection) -> Mapping[str, Any]:
    """What `connection` carries, by name."""
    found: Mapping[str, Any] = connection.__dict__.get(_NAME, _NOTHING)
    return found


def carrying(connection: Connection) -> dict[str, Any]:
    """The same, to be changed."""
    result: dict[str, Any] = connection.__dict__.setdefault(_NAME, {})
    return result
