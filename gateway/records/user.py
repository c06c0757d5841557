"""A user of the console: name, role, and how long what opens the console to it counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.errors import InvalidValue
from gateway.records.person import Login, Role
from gateway.records.row_ids import UserRow

MINUTE: Final = 60 * 1_000_000
HOUR: Final = 60 * MINUTE
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 1024
LINK_LASTS: Final = 24 * HOUR
"""Microseconds: how long a link to set a password opens."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class User:
    """Moments are microseconds since 1970 UTC."""

    row: UserRow
    name: str
    role: Role
    login: Login
    """`PASSWORD`, or `OIDC`: the identity provider says name and role."""
    password_hash: str
    """Argon2id in its PHC form; empty: none has been set."""
    is_enabled: bool
    made_at: int
    made_by: str
    seen_at: int | None
    """Last login."""


def name_of_user(written: str) -> str:
    """The name as it is kept, in lower case. Raises `InvalidValue`."""
    name = written.strip().lower()
    if not _NAME.fullmatch(name):
        raise InvalidValue("is up to 64 letters, digits and . _ @ + -, and begins with a letter or digit", place="name")
    return name


def check_password(password: str, name: str) -> None:
    """Raises `InvalidValue` for a password that is too short, too long, or the name of its user."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidValue(f"has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters", place="password")
    if len(set(password)) < 4 or (name and password.lower() in (name, name * 2, name[::-1])):
        raise InvalidValue("can be guessed; take several words", place="password")
