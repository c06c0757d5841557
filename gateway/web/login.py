"""Who may use the console.

With a token every path but the health checks asks for it. Without one the gateway is bound to loopback, and the
danger left is a web page in somebody's browser: one that makes its own name resolve to 127.0.0.1 (DNS rebinding), or
that sends a form across sites. The first is met by the Host it must send, the second by its Origin.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware
from multidict import CIMultiDict

from gateway.records.person import NOBODY, Login, Person, Role

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


PERSON: Final[web.RequestKey[Person]] = web.RequestKey("person", Person)
"""Who makes a request; absent where no login is asked for."""
SHARED: Final = "token"
"""Name of whoever shows `http.token`."""


class Token:
    """The token that is asked for; None: no login is. A reload gives another value."""

    __slots__ = ("value",)

    def __init__(self, value: str | None) -> None:
        self.value = value

    @classmethod
    def of(cls, token: Token | str | None) -> Token:
        return token if isinstance(token, Token) else cls(token)


def guard(token: Token | str | None, open_paths: frozenset[str]) -> Middleware:
    """A middleware that answers 401 without the token, 403 to what another site sends, and else lets through, with
    `request[PERSON]`."""
    asked = Token.of(token)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in open_paths:
            return await handler(request)
        secret = asked.value
        if secret and not is_secret(credentials(request).secret, secret):
            raise not_logged_in("log in with the token: Bearer, or Basic with it as password")
        check_origin(request, has_token=bool(secret))
        name, login = (SHARED, Login.TOKEN) if secret else ("", Login.LOOPBACK)
        request[PERSON] = Person(name, Role.ADMIN, request.remote or "", login)
        return await handler(request)

    return middleware


def person_of(request: web.Request) -> Person:
    """Who makes a request; `NOBODY` where none is asked for a login."""
    person: Person = request.get(PERSON, NOBODY)
    return person


def check_role(person: Person, role: Role) -> None:
    """Raises 403 that names the role where the person's does not include it."""
    if not person.role.includes(role):
        raise web.HTTPForbidden(text=f"this needs the role {role}; yours is {person.role}")


class Credentials(NamedTuple):
    """What a request shows: RFC 7617 Basic, or RFC 6750 Bearer, which names no user."""

    user: str = ""
    secret: bytes = b""


def credentials(request: web.Request) -> Credentials:
    """Empty where a request shows none that can be read."""
    scheme, _, written = request.headers.get("Authorization", "").partition(" ")
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


def not_logged_in(text: str) -> web.HTTPUnauthorized:
    """401 with the schemes that are taken (RFC 9110 11.6.1)."""
    headers = CIMultiDict(
        (("WWW-Authenticate", 'Bearer realm="gateway"'),
         ("WWW-Authenticate", 'Basic realm="gateway", charset="UTF-8"'))
    )  # fmt: skip
    return web.HTTPUnauthorized(headers=headers, text=text)


def check_origin(request: web.Request, *, has_token: bool) -> None:
    """Raises 403 for what a web page of another site may have sent."""
    if not has_token and not _is_local(request.host):
        raise web.HTTPForbidden(text="without http.token the console answers to localhost and IP addresses only")
    if request.method not in ("GET", "HEAD") and not _same_site(request):
        raise web.HTTPForbidden(text="another site sent this request")


def _is_local(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same_site(request: web.Request) -> bool:
    """Programs send neither header; browsers send at least one with every POST."""
    fetch_site = request.headers.get("Sec-Fetch-Site")
    if fetch_site is not None:
        return fetch_site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2].lower() == request.host.lower()
