"""Access tokens by client credentials (RFC 6749 4.4), also as SMART Backend Services.

One token serves all requests to one server. It is fetched once however many wait for it, and again before it ends.
Neither tokens nor assertions nor secrets stand in an error or in the log.
"""

from __future__ import annotations

import asyncio
import email.utils
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson
from yarl import URL

from gateway.errors import GatewayError, NeedsPerson, Unavailable
from gateway.wire.http import RETRYABLE, Connect, no_answer, read, retry_after_of
from gateway.wire.oauth.clients import Client
from gateway.wire.oauth.scopes import missing

log = logging.getLogger(__name__)

SKEW_SECONDS: Final = 5.0
"""Clocks that differ by less are not why an assertion was refused."""

LIFE_SECONDS: Final = 60.0
"""Of a token whose server does not say (`expires_in` is recommended only)."""

MAX_BYTES: Final = 256 * 1024

CURES: Final = {
    "invalid_client": "the server does not know this client by what it showed: check client_id, and the secret, or "
    "that the server has the public key (/.well-known/jwks.json) under its kid",
    "invalid_scope": "the server does not give these scopes to this client: check scopes, or have them granted",
    "invalid_grant": "the server does not take this grant: check client_id and keys",
    "unauthorized_client": "this client may not use client credentials: have the grant allowed for it",
    "unsupported_grant_type": "the server has no client credentials grant: check token_url, or use another kind",
    "invalid_request": "the server misses something in the request: check kind, token_url and scopes",
    "access_denied": "the server refuses this client: have it approved",
}
"""Error codes of RFC 6749 5.2 and what a person does about them."""

PASSING: Final = frozenset({"temporarily_unavailable", "server_error", "slow_down"})


@dataclass(frozen=True, slots=True)
class AccessToken:
    value: str
    renew_at: float
    """From here on a new one is fetched: at 80 % of its life or 30 s before its end, but not in its first half."""
    ends_at: float


class TokenAuthorization:
    """Shows an access token of `client` to the FHIR server at `base`.

    `token_url`: empty asks `<base>/.well-known/smart-configuration` for it.
    """

    def __init__(
        self,
        base: str,
        client: Client,
        *,
        scopes: Sequence[str] = (),
        token_url: str = "",
        connect: Connect | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base = base.rstrip("/")
        self._client = client
        self._scopes = tuple(scopes)
        self._configured = token_url
        self._discovered = ""
        self._connect = connect or Connect()
        self._clock = clock
        self._monotonic = monotonic
        self._skew = 0.0
        self._token: AccessToken | None = None
        self._flight: asyncio.Task[AccessToken] | None = None

    async def headers(self) -> Mapping[str, str]:
        token = self._token
        if token is None or self._monotonic() >= token.renew_at:
            token = await self._renewed(token)
        return {"Authorization": f"Bearer {token.value}"}

    def refused(self, headers: Mapping[str, str]) -> bool:
        # Only the token that was refused: another request may have fetched a new one meanwhile.
        if self._token is not None and headers.get("Authorization") == f"Bearer {self._token.value}":
            self._token = None
        return True

    async def _renewed(self, old: AccessToken | None) -> AccessToken:
        if self._flight is None:
            self._flight = asyncio.create_task(self._fetch(), name="token")
            self._flight.add_done_callback(self._landed)
        try:
            # One caller that is cancelled must not take the token from the others.
            return await asyncio.shield(self._flight)
        except Unavailable:
            if old is not None and self._token is old and self._monotonic() < old.ends_at:
                return old
            raise

    def _landed(self, flight: asyncio.Task[AccessToken]) -> None:
        self._flight = None
        if not flight.cancelled() and flight.exception() is None:
            self._token = flight.result()

    async def _fetch(self) -> AccessToken:
        async with self._connect.session() as session:
            url = self._configured or await self._discover(session)
            try:
                return await self._ask(session, url)
            except _Stale as stale:
                if stale.difference != self._skew:
                    text = "%s: the clock there differs from ours by %.0f s; keep ours by NTP"
                    log.warning(text, _place(url), stale.difference)
                self._skew = stale.difference
            try:
                return await self._ask(session, url)
            except _Stale as still:
                raise still.error from None

    async def _discover(self, session: aiohttp.ClientSession) -> str:
        """The token endpoint of the SMART configuration (SMART App Launch 2, "Conformance")."""
        if self._discovered:
            return self._discovered
        address = f"{self._base}/.well-known/smart-configuration"
        with _reaching(f"GET {address}"):
            async with session.get(
                URL(address, encoded=True), headers={"Accept": "application/json"}, allow_redirects=False
            ) as response:
                stated = _json(await read(response, MAX_BYTES))
                status, wait = response.status, retry_after_of(response)
        if status in RETRYABLE:
            raise Unavailable(f"HTTP {status}", place=f"GET {address}", retry_after=wait)
        found = str(stated.get("token_endpoint") or "")
        if status != 200 or not found.startswith(("https://", "http://")):
            raise NeedsPerson(f"HTTP {status} names no token_endpoint; set auth.token_url", place=f"GET {address}")
        if self._base.startswith("https://") and not found.startswith("https://"):
            raise NeedsPerson("names a token_endpoint without TLS; set auth.token_url", place=f"GET {address}")
        self._discovered = found
        return found

    async def _ask(self, session: aiohttp.ClientSession, url: str) -> AccessToken:
        place = f"POST {_place(url)}"
        shown = self._client.show(url, self._clock() + self._skew)
        form = {"grant_type": "client_credentials", **shown.form}
        if self._scopes:
            form["scope"] = " ".join(self._scopes)
        asked_at = self._monotonic()
        with _reaching(place):
            async with session.post(
                URL(url, encoded=True),
                data=form,
                headers={"Accept": "application/json", **shown.headers},
                # A redirect would carry secret or assertion to another origin.
                allow_redirects=False,
            ) as response:
                stated = _json(await read(response, MAX_BYTES))
                status, wait = response.status, retry_after_of(response)
                date = response.headers.get("Date", "")
        if status != 200:
            error = self._error(status, stated, place, wait, (*shown.form.values(), *shown.headers.values()))
            if stated.get("error") == "invalid_client" and self._client.dated:
                difference = self._difference(date)
                if abs(difference - self._skew) > SKEW_SECONDS:
                    raise _Stale(difference, error)
                if self._client.kid != shown.kid:
                    raise _Stale(self._skew, error)
            if self._configured == "" and status in (404, 410):
                self._discovered = ""
            raise error
        return self._token_of(stated, place, asked_at)

    def _difference(self, date: str) -> float:
        """How many seconds the server's clock is ahead of ours, by its Date header."""
        try:
            return email.utils.parsedate_to_datetime(date).timestamp() - self._clock()
        except ValueError:
            return self._skew

    def _error(
        self, status: int, stated: Mapping[str, Any], place: str, wait: float | None, secrets: Sequence[str]
    ) -> GatewayError:
        code = str(stated.get("error") or "")[:80]
        reported = str(stated.get("error_description") or "")[:2000]
        for secret in secrets:
            reported = reported.replace(secret, "(left out)")
        # An error code says more than the status: servers answer 400, 401 or even 500 with it.
        if code not in CURES and (status in RETRYABLE or code in PASSING):
            return Unavailable(f"no token: HTTP {status} {code}".rstrip(), place=place, retry_after=wait)
        cure = CURES.get(code) or "this is no token endpoint that takes us: check auth.token_url"
        reported = f" ({reported[:300]})" if reported else ""
        return NeedsPerson(f"no token: HTTP {status} {code}{reported}: {cure}".replace("  ", " "), place=place)

    def _token_of(self, stated: Mapping[str, Any], place: str, asked_at: float) -> AccessToken:
        value = stated.get("access_token")
        if not isinstance(value, str) or not value:
            # A proxy's page in place of the answer.
            raise Unavailable("no token: HTTP 200 without access_token", place=place)
        kind = str(stated.get("token_type") or "bearer")
        if kind.lower() != "bearer" or not value.isprintable():
            raise NeedsPerson(f"the token is of type {kind[:40]!r}; only bearer tokens can be used", place=place)
        granted = stated.get("scope")
        # Without a scope in the answer all were granted (RFC 6749 5.1).
        lacking = missing(self._scopes, granted.split()) if isinstance(granted, str) else []
        if lacking:
            raise NeedsPerson(
                f"the server grants {granted or 'nothing'} but not {' '.join(lacking)}: have it granted to this "
                "client, or take it out of auth.scopes",
                place=place,
            )
        life = _seconds(stated.get("expires_in"))
        renewed = max(min(0.8 * life, life - 30.0), life / 2)
        return AccessToken(value, asked_at + renewed, asked_at + life)


class _Stale(Exception):
    """An assertion was refused, and another would not be the same: the clocks differ, or its key was taken away."""

    def __init__(self, difference: float, error: GatewayError) -> None:
        super().__init__()
        self.difference = difference
        self.error = error


@contextmanager
def _reaching(place: str) -> Iterator[None]:
    """Turns what goes wrong with a connection into an error with its fate."""
    try:
        yield
    except (aiohttp.ClientError, OSError) as error:
        raise no_answer(error, place) from error


def _json(content: bytes) -> Mapping[str, Any]:
    try:
        stated = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return stated if isinstance(stated, dict) else {}


def _seconds(stated: object) -> float:
    """`expires_in`, which some servers write as a text."""
    try:
        life = float(str(stated))
    except ValueError:
        return LIFE_SECONDS
    return life if 0 < life < float("inf") else LIFE_SECONDS


def _place(url: str) -> str:
    return url.split("?")[0]
