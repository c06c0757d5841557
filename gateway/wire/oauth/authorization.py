"""What a request shows so that a server lets it in: nothing, a password, or a token."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from gateway.errors import ConfigError
from gateway.wire.oauth.watched_file import Watched

T = TypeVar("T")


class Authorization(Protocol):
    """Headers for the requests to one server. Safe for many requests at once."""

    async def headers(self) -> Mapping[str, str]:
        """Headers for the next request. Raises `Unavailable` or `NeedsPerson` where a token cannot be had."""

    def refused(self, headers: Mapping[str, str]) -> bool:
        """A request with `headers` was answered 401: forget them. Whether a second try would show something else."""


async def with_login(
    authorization: Authorization, once: Callable[[Mapping[str, str]], Awaitable[T]], is_refused: Callable[[T], bool]
) -> T:
    """The answer to a request that is made with the headers that `once` gets; `is_refused`: whether it is a 401.

    A server that answers 401 has done nothing, so the request is made again where a second try shows something else;
    once, for the same new token would be refused again.
    """
    shown = await authorization.headers()
    answer = await once(shown)
    if is_refused(answer) and authorization.refused(shown):
        shown = await authorization.headers()
        answer = await once(shown)
        if is_refused(answer):
            authorization.refused(shown)
    return answer


class Anonymous:
    """For a server that asks for nothing, or knows us by our certificate."""

    async def headers(self) -> Mapping[str, str]:
        return {}

    def refused(self, headers: Mapping[str, str]) -> bool:
        return False


class Basic:
    """User and password (RFC 7617)."""

    def __init__(self, user: str, password: str) -> None:
        self._headers = {"Authorization": basic(user, password)}

    async def headers(self) -> Mapping[str, str]:
        return self._headers

    def refused(self, headers: Mapping[str, str]) -> bool:
        return False


class Bearer:
    """A token that somebody else fetched (RFC 6750): a text, or a file that is read again when it changes."""

    def __init__(self, token: str | Path) -> None:
        if isinstance(token, Path):
            self._token = Watched([token], _first_line).value
        else:
            self._token = lambda: token

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token()}"}

    def refused(self, headers: Mapping[str, str]) -> bool:
        return headers.get("Authorization") != f"Bearer {self._token()}"


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode('ascii')}"


def _first_line(files: Sequence[Path]) -> str:
    """The token in the first of `files`. Raises `ConfigError`."""
    file = files[0]
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})"]) from error
    token = lines[0].strip() if lines else ""
    if not token:
        raise ConfigError([f"{file}: its first line is empty"])
    return token
