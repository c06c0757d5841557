"""Passwords: Argon2id (RFC 9106) in a thread of their own, one after another.

A password takes 20 MiB and some 30 ms of a core by intention; the event loop, orders and queries go on beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.errors import Unavailable

T = TypeVar("T")
MEMORY_KIB: Final = 19_456
PASSES: Final = 2
MOST_WAITING: Final = 64
"""Passwords that wait for their turn; more would wait for seconds."""
_HASHER: Final = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)


class Passwords:
    """Makes and checks hashes. Raises `Unavailable` where too many wait."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="passwords")
        self._waiting = 0

    async def hashed(self, password: str) -> str:
        """The Argon2id hash of a password in its PHC form, with a salt of its own."""
        return await self._run(partial(hashed, password))

    async def is_right(self, password_hash: str, password: str) -> bool:
        """Whether it is the password of a hash. An empty hash is nobody's, which takes as long to find out."""
        return await self._run(partial(_is_right, password_hash, password))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise Unavailable("too many passwords are being checked", retry_after=5)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the thread, after the password at hand."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def hashed(password: str) -> str:
    """As `Passwords.hashed`, for who has no event loop."""
    return _HASHER.hash(password)


def is_outdated(password_hash: str) -> bool:
    """Whether a hash was made by other parameters than those of today."""
    return _HASHER.check_needs_rehash(password_hash)


def _is_right(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash or _nobodys(), password) and bool(password_hash)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys() -> str:
    return _HASHER.hash("")
