"""A login that lasts: of one browser of one user, until it is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.records.person import Login, Role
from gateway.records.row_ids import UserRow
from gateway.records.user import HOUR, MINUTE

NOTED_AFTER: Final = MINUTE
"""A session that was seen less than so long ago is not noted again."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Microseconds."""

    idle: int = 30 * MINUTE
    """Without a request."""
    absolute: int = 12 * HOUR
    """From the login on."""


@dataclass(frozen=True, slots=True)
class Session:
    """Moments are microseconds since 1970 UTC."""

    user: UserRow
    name: str
    role: Role
    login: Login
    begun_at: int
    seen_at: int
    id_token: str
    """Of the identity provider, which its logout asks for; empty: it was a password."""

    def is_over(self, limits: SessionLimits, now: int) -> bool:
        """Whether it has lasted, or rested, too long; and where the clock went back behind its beginning."""
        return not self.begun_at <= now < min(self.begun_at + limits.absolute, self.seen_at + limits.idle)
