"""What stands for an identity: made of it by a key, so that it is the same in every export and leads nowhere back."""

from __future__ import annotations

import hmac
from functools import lru_cache
from typing import Final

_LETTERS: Final = bytes.maketrans(b"0123456789abcdef", b"bcdfghjklmnpqrst")
"""No vowel and no digit: a pseudonym is never taken for a name, a number or a date, and holds none by chance."""
LETTERS: Final = 20
"""Of a pseudonym: 80 bits."""
WEEK: Final = 7
FEWEST_WEEKS: Final = 104
WEEKS: Final = 520
"""Dates go back by two to twelve years of whole weeks, which keeps the day of the week. No export of less than two
years holds one of the days that it was made from."""
KEPT: Final = 16_384
"""Of each, so that what comes again is not computed again."""
DAY_MICROS: Final = 86_400_000_000
_UUID_MASK: Final = ~((0xF << 76) | (0x3 << 62))
_UUID_BITS: Final = (8 << 76) | (2 << 62)
"""Version 8, variant 1: a UUID made by a rule of one's own (RFC 9562 5.8)."""


class Pseudonyms:
    """Makes them of a secret. `secret`: 32 bytes."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        # Rows of a patient and of a study stand near each other.
        self.of = lru_cache(maxsize=KEPT)(self._word)
        """The pseudonym of a value; `kind`, the first argument, keeps apart what only looks alike."""
        self.uid = lru_cache(maxsize=KEPT)(self._uid)
        """The UID that stands for a UID (PS3.5 B.2)."""
        self.shift = lru_cache(maxsize=KEPT)(self._shift)
        """By how many microseconds moments of a patient go back: whole days."""

    def _uid(self, uid: str) -> str:
        number = int.from_bytes(self._digest("uid", uid)[:16])
        return f"2.25.{number & _UUID_MASK | _UUID_BITS}"

    def _shift(self, patient: str) -> int:
        number = int.from_bytes(self._digest("days", patient)[:8])
        return (FEWEST_WEEKS + number % WEEKS) * WEEK * DAY_MICROS

    def _word(self, kind: str, value: str) -> str:
        return self._digest(kind, value).hex()[:LETTERS].encode().translate(_LETTERS).decode()

    def _digest(self, kind: str, value: str) -> bytes:
        return hmac.digest(self._secret, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), "sha256")
