"""GET requests to a server: login, a limit of time for each piece of an answer, faults by what follows from them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson
from yarl import URL

from gateway.errors import GatewayError, Malformed, NeedsPerson, TooLarge, Unavailable
from gateway.wire.http import RETRYABLE, Connect, no_answer, read, retry_after_of
from gateway.wire.oauth.authorization import Anonymous, Authorization, with_login

Parameters = Sequence[tuple[str, str]]
MOST_JSON_BYTES: Final = 64 * 1024 * 1024
"""Of an answer that is read whole."""


class LoginRefusedError(Unavailable):
    """The server does not take our login; it may once a person has mended that."""


class WebReader:
    """One server. `async with`; safe for many requests at once.

    `connect.timeout_seconds`: for connecting, and for each piece of an answer. Raises `Unavailable` for what may pass
    and for a login that is refused, `TooLarge` where the server refuses a search for its size, and `NeedsPerson` for
    other refusals.
    """

    def __init__(self, base: str, connect: Connect, authorization: Authorization | None = None) -> None:
        self.base = base.rstrip("/")
        self._connect = connect
        self._authorization = authorization or Anonymous()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        seconds = self._connect.timeout_seconds
        self._session = self._connect.session(aiohttp.ClientTimeout(total=None, connect=seconds, sock_read=seconds))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def get(
        self, path: str, parameters: Parameters = (), *, accept: str, may_lack: bool = False
    ) -> AsyncIterator[aiohttp.ClientResponse | None]:
        """The answer to a GET. None: there is nothing (204; with `may_lack` 404 and 410 too)."""
        place = self.at(path)
        address = URL(place, encoded=True).with_query(list(parameters))

        async def once(shown: Mapping[str, str]) -> aiohttp.ClientResponse:
            assert self._session is not None, "WebReader is used outside of 'async with'"
            # A redirect would carry the token to another origin.
            answer = await self._session.get(address, headers={"Accept": accept, **shown}, allow_redirects=False)
            if answer.status == 401:
                answer.release()
            return answer

        try:
            response = await with_login(self._authorization, once, lambda answer: answer.status == 401)
            async with response:
                if response.status == 204 or (may_lack and response.status in (404, 410)):
                    yield None
                elif response.status == 200:
                    yield response
                else:
                    raise await _fault(response, place)
        except TimeoutError as error:
            raise Unavailable(f"no answer ({type(error).__name__})", place=place) from error
        except (aiohttp.ClientError, OSError) as error:
            raise no_answer(error, place) from error

    async def get_json(self, path: str, parameters: Parameters = (), *, may_lack: bool = False) -> Any:
        """What an answer of JSON holds; None: there is nothing. Raises `Malformed` too."""
        async with self.get(path, parameters, accept="application/json", may_lack=may_lack) as response:
            if response is None:
                return None
            content = await read(response, MOST_JSON_BYTES)
        try:
            return orjson.loads(content)
        except ValueError as error:
            raise Malformed(f"no JSON: {error}", place=self.at(path)) from None

    def at(self, path: str) -> str:
        """An address below the base."""
        return f"{self.base}/{path}"


async def _fault(response: aiohttp.ClientResponse, place: str) -> GatewayError:
    status = response.status
    if status in (401, 403):
        # Not the study's fault: all work waits until the login is mended.
        return LoginRefusedError(f"does not let us in (HTTP {status}): check auth", place=place)
    if status in RETRYABLE:
        return Unavailable(f"HTTP {status}", place=place, retry_after=retry_after_of(response))
    if status == 413:
        return TooLarge("the server refuses a search for its size (HTTP 413)", place=place)
    cure = _CURES.get(status, "")
    text = " ".join((await read(response, 2_000)).decode("utf-8", "replace")[:200].split())
    fault = NeedsPerson(f"HTTP {status}{cure}", place=place)
    fault.details = {"status": status, "text": text}
    return fault


_CURES: Final = {
    404: ": there is no such server at this address; check url",
    406: ": the server writes none of the media types that are read",
    301: ": the server is at another address; check url",
    302: ": the server is at another address, or wants a login of people; check url and auth",
    307: ": the server is at another address; check url",
    308: ": the server is at another address; check url",
}
