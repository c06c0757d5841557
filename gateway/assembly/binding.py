"""Listening on a port, with an error that names the key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.errors import ConfigError, Unavailable


async def bind(key: str, host: str, port: int, start: Callable[[], Any]) -> Any:
    try:
        return await start()
    except OSError as error:
        raise ConfigError([unbindable(key, host, port, error.strerror or str(error))]) from error
    except Unavailable as error:
        raise ConfigError([f"{key}: {error}; free the port or choose another"]) from error


def unbindable(key: str, host: str, port: int, reason: str) -> str:
    """The fault of a port that cannot be had."""
    return f"{key}: cannot listen on {host}:{port} ({reason}); free the port or choose another"
