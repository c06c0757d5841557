"""One gateway for each SQLite file."""

from __future__ import annotations

import fcntl
import os
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from gateway.errors import ConfigError
from gateway.store.engine import sqlite_file


def hold_instance_lock(url: str, stack: AsyncExitStack | ExitStack) -> None:
    """Hold the lock of an SQLite file until `stack` ends: for a gateway that runs, and for a change of its schema.

    Two gateways on one file would take each other's work for left over; PostgreSQL is made for several. Raises
    `ConfigError` when another process holds the lock.
    """
    file = sqlite_file(url)
    if file is None:
        return
    path = Path(f"{file}.lock")
    try:
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise ConfigError([f"database.url: {path} cannot be opened ({error.strerror})"]) from error
    stack.callback(os.close, handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigError([f"database.url: another gateway works on {file}; stop it, or use PostgreSQL"]) from error
