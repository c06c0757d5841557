"""The digest of a resource: whether two versions are the same."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson


def digest_of(resource: dict[str, Any]) -> bytes:
    """SHA-256 of a resource, whatever the order of its keys."""
    return hashlib.sha256(orjson.dumps(resource, option=orjson.OPT_SORT_KEYS)).digest()
