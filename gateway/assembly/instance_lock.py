"""One gateway for each SQLite file, and gateways of one database alone for each folder of a spool."""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from gateway.errors import ConfigError
from gateway.store.engine import sqlite_file

log = logging.getLogger(__name__)


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


def hold_folder(folder: Path, stack: AsyncExitStack | ExitStack, *, alone: bool) -> None:
    """Hold the folder of a spool until `stack` ends: alone, or together with others that do not hold it alone.

    A gateway on SQLite takes files without a row of its own for left over. Raises `ConfigError` when another process
    holds the folder. Where the file system has no such locks nothing is held.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    stack.callback(os.close, handle)
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError as error:
        reason = f"another gateway, on another database, works in {folder}; give each a folder of its own"
        raise ConfigError([f"studies.spool.folder: {reason}"]) from error
    except OSError as error:
        log.warning("%s cannot be held against other gateways (%s)", folder, error.strerror)
