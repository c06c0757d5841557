"""Random secrets of which only a digest is kept: of sessions, links and API tokens."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

_BYTES: Final = 32


def new_secret(prefix: str = "") -> str:
    """256 random bits behind a prefix by which people and scanners of code know what it is."""
    return prefix + secrets.token_urlsafe(_BYTES)


def digest_of(secret: str) -> bytes:
    """SHA-256. A secret of 256 random bits needs no salt and no slow function."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
