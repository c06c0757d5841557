"""Why somebody is not let in."""

from __future__ import annotations

from gateway.errors import Rejected, Unavailable


class WrongSecret(Rejected):
    """No such user, a user who is disabled, or another password: which of them it is nobody learns."""


class TooManyTries(Unavailable):
    """Secrets were guessed too often: `retry_after` seconds until the next try."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many wrong tries; the next may come in {seconds:.0f} s", retry_after=seconds)
