"""How the gateway shows a token endpoint who is asking: secrets and signed assertions (RFC 6749, 7523)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import quote_plus

from gateway.wire.oauth.authorization import basic
from gateway.wire.oauth.keys import KeyRing, sign

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

ASSERTION_SECONDS: Final = 240
"""SMART allows 300; the rest is for clocks that differ a little."""


@dataclass(frozen=True, slots=True)
class Shown:
    """How a client proves in one request who it is."""

    form: Mapping[str, str]
    headers: Mapping[str, str]
    kid: str = ""
    """Of the key that signed the assertion."""


class Client(Protocol):
    """A client known to a token endpoint."""

    dated: bool
    """What it shows holds the time, so that a wrong clock may be why it is refused."""

    @property
    def kid(self) -> str:
        """Of the key that signs now; '' without keys."""

    def show(self, token_url: str, now: float) -> Shown:
        """`now`: seconds since 1970 by the server's clock."""


class SecretClient:
    """client_secret_basic or client_secret_post (RFC 6749 2.3.1)."""

    dated = False
    kid = ""

    def __init__(self, client_id: str, secret: str, *, post: bool = False) -> None:
        if post:
            self._shown = Shown({"client_id": client_id, "client_secret": secret}, {})
        else:
            self._shown = Shown({}, {"Authorization": basic(quote_plus(client_id), quote_plus(secret))})

    def show(self, token_url: str, now: float) -> Shown:
        return self._shown


class KeyClient:
    """private_key_jwt (RFC 7523) as SMART Backend Services want it."""

    dated = True

    def __init__(self, client_id: str, keys: KeyRing, *, jwks_url: str = "") -> None:
        self._id = client_id
        self._keys = keys
        self._jwks_url = jwks_url

    @property
    def kid(self) -> str:
        return self._keys.signer.kid

    def show(self, token_url: str, now: float) -> Shown:
        signer = self._keys.signer
        claims = {
            "iss": self._id,
            "sub": self._id,
            "aud": token_url,
            "iat": int(now),
            "exp": int(now) + ASSERTION_SECONDS,
            "jti": str(uuid.uuid4()),
        }
        assertion = sign(signer, claims, jwks_url=self._jwks_url)
        return Shown({"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}, {}, signer.kid)
