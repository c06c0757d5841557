"""What any HTTP server answers: when to try again, how much to read, why there was no answer (RFC 9110)."""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass
from datetime import UTC
from ssl import SSLContext
from typing import Any, Final

import aiohttp

from gateway.errors import NeedsPerson, Unavailable

RETRYABLE: Final = frozenset({408, 409, 425, 429, *range(500, 600)} - {501, 505})
"""Answers after which the same request may succeed; 409 is a write that met another. Proxies have 5xx of their own."""


@dataclass(frozen=True, slots=True)
class Connect:
    """How servers are reached."""

    timeout_seconds: float = 30.0
    tls: SSLContext | None = None
    """None: the system's authorities, no certificate of ours."""
    proxy: str | None = None
    connections: int = 100

    def session(self, timeout: aiohttp.ClientTimeout | None = None, **options: Any) -> aiohttp.ClientSession:
        """To be closed. `timeout`: None gives `timeout_seconds` to a request and its answer."""
        connector = aiohttp.TCPConnector(limit=self.connections, ssl=self.tls if self.tls is not None else True)
        limit = timeout or aiohttp.ClientTimeout(total=self.timeout_seconds)
        return aiohttp.ClientSession(connector=connector, timeout=limit, proxy=self.proxy, **options)


def retry_after_of(response: aiohttp.ClientResponse) -> float | None:
    """Retry-After in seconds, from seconds or an HTTP date; no more than an hour.

    A date counts from the server's own Date: its clock and ours may differ.
    """
    written = response.headers.get("Retry-After", "").strip()
    if not written:
        return None
    if written.isascii() and written.isdigit():
        return min(float(written), 3600.0)
    at, now = _moment(written), _moment(response.headers.get("Date", "")) or time.time()
    return None if at is None else min(max(at - now, 0.0), 3600.0)


def _moment(date: str) -> float | None:
    """Seconds since 1970; a date without a zone is UTC. None: it is no date."""
    try:
        at = email.utils.parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


async def read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The whole body, or its first `most` bytes and a little more."""
    content = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        content += chunk
        if len(content) > most:
            break
    return bytes(content)


def no_answer(error: Exception, place: str) -> Unavailable | NeedsPerson:
    """The error of a request that got no answer from the server itself."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        # Not in its own words, which may hold the proxy's password.
        if error.status == 407:
            return NeedsPerson("the proxy does not take our user and password (HTTP 407): check proxy", place=place)
        return Unavailable(f"the proxy answers HTTP {error.status}", place=place)
    return Unavailable(f"no answer ({type(error).__name__}: {_reason(error)})", place=place)


def _reason(error: Exception) -> str:
    """What went wrong with a connection, in the system's words: refused, name not known, certificate."""
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    return str(getattr(cause, "strerror", None) or cause)[:200]
