"""What a request shows to be let in: an Authorization header."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import NamedTuple

from aiohttp import hdrs, web
from multidict import CIMultiDict


class Token:
    """A token of the configuration that is asked for; None: there is none. A reload gives another value."""

    __slots__ = ("value",)

    def __init__(self, value: str | None) -> None:
        self.value = value

    @classmethod
    def of(cls, token: Token | str | None) -> Token:
        return token if isinstance(token, Token) else cls(token)


class Credentials(NamedTuple):
    """What a request shows: RFC 7617 Basic, or RFC 6750 Bearer, which names no user."""

    user: str = ""
    secret: bytes = b""

    @property
    def text(self) -> str:
        """The secret as text, whatever its bytes are."""
        return self.secret.decode("utf-8", "surrogateescape")


def credentials(request: web.Request) -> Credentials:
    """Empty where a request shows none that can be read."""
    scheme, _, written = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    given = written.strip().encode("utf-8", "surrogateescape")
    if scheme.lower() == "bearer":
        return Credentials(secret=given)
    if scheme.lower() != "basic":
        return Credentials()
    try:
        user, _, secret = base64.b64decode(given, validate=True).partition(b":")
    except binascii.Error:
        return Credentials()
    return Credentials(user.decode("utf-8", "replace"), secret)


def is_secret(given: bytes, secret: str) -> bool:
    """Whether a token or password is the right one, in the same time whatever it is."""
    return hmac.compare_digest(given, secret.encode())


def not_logged_in(text: str, *, basic: bool = True) -> web.HTTPUnauthorized:
    """401 with the schemes that are taken (RFC 9110 11.6.1). `basic`: a browser asks its user for a password."""
    headers = CIMultiDict([(hdrs.WWW_AUTHENTICATE, 'Bearer realm="gateway"')])
    if basic:
        headers.add(hdrs.WWW_AUTHENTICATE, 'Basic realm="gateway", charset="UTF-8"')
    return web.HTTPUnauthorized(headers=headers, text=text)
