"""An identity provider of people: OpenID Connect Core 1.0, the authorization code flow with PKCE (RFC 7636).

Nothing is believed but what the ID token of the provider's own keys says to this client, for this login, now.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import aiohttp
import orjson
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from gateway.errors import Rejected, Unavailable
from gateway.wire.http import Connect, no_answer, read
from gateway.wire.oauth.authorization import basic

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures by keys that the provider publishes: none by a secret, and never `none`."""
SKEW_SECONDS: Final = 60.0
KEPT_SECONDS: Final = 3600.0
"""How long metadata and keys are kept; keys that are not among them are looked for at once, but not more often than:"""
KEYS_SECONDS: Final = 10.0
AWAY_SECONDS: Final = 5.0
"""After an attempt that came to nothing: whoever asks for a login meanwhile causes no other one."""
MAX_BYTES: Final = 512 * 1024
PLACE: Final = "identity provider"


class NotVouched(Rejected):
    """The provider does not say who somebody is, or says it so that it cannot be believed."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What one login is known by, from its beginning to its end; random."""

    state: str
    nonce: str
    verifier: str

    @property
    def challenge(self) -> str:
        """Of PKCE, by S256."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Vouched:
    """Who has logged in at the provider."""

    claims: Mapping[str, Any]
    """Of the ID token, and of the answer about the user where the provider has one."""
    id_token: str


class OpenIdProvider:
    """The provider of an issuer. `secret`: None is a public client; `clock`: seconds since 1970."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        secret: str | None,
        *,
        scopes: Sequence[str] = ("openid",),
        connect: Connect | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._secret = secret
        self._scopes = tuple(dict.fromkeys(("openid", *scopes)))
        self._connect = connect or Connect(timeout_seconds=10.0)
        self._clock = clock
        self._metadata: tuple[float, dict[str, Any]] = (0.0, {})
        self._keys: tuple[float, dict[str, Any]] = (0.0, {})
        self._asking = asyncio.Lock()
        self._away_at = 0.0

    async def authorization_url(self, redirect_uri: str, flow: Flow) -> str:
        """Where a browser goes to log in. Raises `Unavailable`, `NotVouched`."""
        asked = {
            "response_type": "code", "client_id": self._client_id, "redirect_uri": redirect_uri,
            "scope": " ".join(self._scopes), "state": flow.state, "nonce": flow.nonce,
            "code_challenge": flow.challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        return _with(await self._endpoint("authorization_endpoint"), asked)

    async def logout_url(self, id_token: str, redirect_uri: str) -> str:
        """Where a browser goes to log out; empty where the provider has no such page. Raises `Unavailable`."""
        address = (await self._provider()).get("end_session_endpoint")
        if not isinstance(address, str) or not address:
            return ""
        asked = {"id_token_hint": id_token, "client_id": self._client_id, "post_logout_redirect_uri": redirect_uri}
        return _with(address, asked)

    async def vouched(self, answer: Mapping[str, str], redirect_uri: str, flow: Flow) -> Vouched:
        """Who has logged in, of the query with which the browser came back. Raises `NotVouched`, `Unavailable`."""
        metadata = await self._provider()
        _check_answer(answer, metadata, self.issuer, flow)
        tokens = await self._exchange(answer.get("code", ""), redirect_uri, flow)
        id_token = str(tokens.get("id_token", ""))
        claims = await self._verified(id_token)
        self._check(claims, flow)
        if (about := metadata.get("userinfo_endpoint")) and tokens.get("access_token"):
            headers = {"Authorization": f"Bearer {tokens['access_token']}"}
            _, more = await self._ask("GET", str(about), headers=headers)
            # 5.3.2: claims of another subject must not be believed.
            if more.get("sub") == claims["sub"]:
                claims = {**more, **claims}
        return Vouched(claims, id_token)

    async def _exchange(self, code: str, redirect_uri: str, flow: Flow) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri,
            "code_verifier": flow.verifier,
        }  # fmt: skip
        headers: dict[str, str] = {}
        if self._secret is None:
            form["client_id"] = self._client_id
        elif "client_secret_basic" in _listed(await self._provider(), "token_endpoint_auth_methods_supported"):
            headers["Authorization"] = basic(quote_plus(self._client_id), quote_plus(self._secret))
        else:
            form |= {"client_id": self._client_id, "client_secret": self._secret}
        status, tokens = await self._ask("POST", await self._endpoint("token_endpoint"), data=form, headers=headers)
        if status != 200:
            code_of_error = str(tokens.get("error", ""))[:64]
            raise NotVouched(f"it does not take the code (HTTP {status} {code_of_error})", place=PLACE)
        return tokens

    async def _verified(self, id_token: str) -> dict[str, Any]:
        """The claims of an ID token that a key of the provider has signed."""
        try:
            try:
                return _decoded(id_token, await self._published_keys(KEPT_SECONDS))
            except InvalidKeyIdError:
                # The provider has taken a new key.
                return _decoded(id_token, await self._published_keys(KEYS_SECONDS))
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise NotVouched(f"its ID token cannot be believed ({type(error).__name__})", place=PLACE) from None

    def _check(self, claims: Mapping[str, Any], flow: Flow) -> None:
        """3.1.3.7 of OpenID Connect Core."""
        audience = claims.get("aud")
        audience = [audience] if isinstance(audience, str) else audience or []
        now = self._clock()
        holds = {
            "iss": claims.get("iss") == self.issuer,
            "aud": self._client_id in audience,
            "azp": claims.get("azp", self._client_id) == self._client_id and (len(audience) == 1 or "azp" in claims),
            "exp": _number(claims.get("exp")) > now - SKEW_SECONDS,
            "iat": 0 < _number(claims.get("iat")) < now + SKEW_SECONDS,
            "nonce": claims.get("nonce") == flow.nonce,
            "sub": isinstance(claims.get("sub"), str) and bool(claims.get("sub")),
        }
        if wrong := [name for name, is_right in holds.items() if not is_right]:
            raise NotVouched(f"its ID token is not for this login: {', '.join(wrong)}", place=PLACE)

    async def _published_keys(self, seconds: float) -> dict[str, Any]:
        at, keys = self._keys
        if not keys or not 0 <= self._clock() - at < seconds:
            _, keys = await self._ask("GET", await self._endpoint("jwks_uri"))
            self._keys = self._clock(), keys
        return keys

    async def _endpoint(self, name: str) -> str:
        address = (await self._provider()).get(name)
        if not isinstance(address, str) or not address:
            raise NotVouched(f"its metadata has no {name}", place=PLACE)
        return address

    async def _provider(self) -> dict[str, Any]:
        """The metadata (OpenID Connect Discovery 1.0, 4), asked for once by all who wait for it."""
        async with self._asking:
            at, metadata = self._metadata
            if metadata and 0 <= self._clock() - at < KEPT_SECONDS:
                return metadata
            if 0 <= self._clock() - self._away_at < AWAY_SECONDS:
                raise Unavailable("did not answer a moment ago", place=PLACE)
            try:
                metadata = await self._discovered()
            except (Unavailable, NotVouched):
                self._away_at = self._clock()
                raise
            self._metadata = self._clock(), metadata
            return metadata

    async def _discovered(self) -> dict[str, Any]:
        status, metadata = await self._ask("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if status != 200 or metadata.get("issuer") != self.issuer:
            stated = str(metadata.get("issuer", ""))[:200]
            raise NotVouched(f"{self.issuer} answers HTTP {status} as issuer {stated!r}", place=PLACE)
        return metadata

    async def _ask(self, method: str, address: str, **options: Any) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an answer; no redirect is followed, which could carry a code elsewhere."""
        try:
            async with (
                self._connect.session() as session,
                session.request(method, address, allow_redirects=False, **options) as answer,
            ):
                body, status = await read(answer, MAX_BYTES), answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise no_answer(error, PLACE) from error
        if status >= 500:
            raise Unavailable(f"answers HTTP {status}", place=PLACE)
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError:
            content = None
        return status, content if isinstance(content, dict) else {}


def _check_answer(answer: Mapping[str, str], metadata: Mapping[str, Any], issuer: str, flow: Flow) -> None:
    if answer.get("state") != flow.state:
        raise NotVouched("the answer is not for this login; begin again", place=PLACE)
    if error := answer.get("error"):
        raise NotVouched(f"refuses the login ({error[:64]})", place=PLACE)
    # RFC 9207: another provider may have been mixed in.
    stated = answer.get("iss")
    if (stated is not None or metadata.get("authorization_response_iss_parameter_supported")) and stated != issuer:
        raise NotVouched("the answer is of another issuer", place=PLACE)


def _decoded(id_token: str, keys: dict[str, Any]) -> dict[str, Any]:
    return dict(jwt.decode(id_token, KeySet.import_key_set(keys), algorithms=list(ALGORITHMS)).claims)  # type: ignore[arg-type]


def _with(address: str, query: Mapping[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


def _listed(metadata: Mapping[str, Any], name: str) -> Sequence[str]:
    """Of `token_endpoint_auth_methods_supported` the default is Basic."""
    listed = metadata.get(name)
    return listed if isinstance(listed, list) else ("client_secret_basic",)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
