"""The file of the key: whoever has it can tell who a pseudonym is, so nobody but its owner may read it."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final

from gateway.errors import ConfigError

SECRET_BYTES: Final = 32
_KEY: Final = re.compile(rf"[0-9a-f]{{{2 * SECRET_BYTES}}}\n?")


def secret_of(path: Path) -> tuple[bytes, bool]:
    """The secret of a key file, and whether it was made just now, with mode 0600, because there was none.

    Raises `ConfigError` for a file that others can read or that holds no key.
    """
    try:
        return _read(path), False
    except FileNotFoundError:
        return _made(path), True
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror})"]) from error


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError([f"{path}: is no file"])
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError([f"{path}: others may read this key, and who a pseudonym is: chmod 600 {path}"])
        text = file.read(4 * SECRET_BYTES).decode("ascii", "replace")
    if not _KEY.fullmatch(text):
        raise ConfigError([f"{path}: holds no key of {2 * SECRET_BYTES} hexadecimal digits; name another file"])
    return bytes.fromhex(text)


def _made(path: Path) -> bytes:
    secret = secrets.token_bytes(SECRET_BYTES)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be made ({error.strerror})"]) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secret.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return secret
