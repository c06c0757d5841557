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
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware
from multidict import CIMultiDict

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guard(token: str | None, open_paths: frozenset[str]) -> Middleware:
    """A middleware that answers 401 without the token, 403 to what another site sends, and else lets through."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in open_paths:
            return await handler(request)
        if token and not _presents(request.headers.get("Authorization", ""), token):
            headers = CIMultiDict(
                (("WWW-Authenticate", 'Bearer realm="gateway"'),
                 ("WWW-Authenticate", 'Basic realm="gateway", charset="UTF-8"'))
            )  # fmt: skip
            raise web.HTTPUnauthorized(
                headers=headers, text="log in with the token: Bearer, or Basic with it as password"
            )
        if not token and not _is_local(request.host):
            raise web.HTTPForbidden(text="without http.token the console answers to localhost and IP addresses only")
        if request.method not in ("GET", "HEAD") and not _same_site(request):
            raise web.HTTPForbidden(text="another site sent this request")
        return await handler(request)

    return middleware


def _presents(authorization: str, token: str) -> bool:
    """RFC 6750 Bearer, or RFC 7617 Basic with any user and the token as password."""
    scheme, _, credentials = authorization.partition(" ")
    given = credentials.strip().encode("utf-8", "surrogateescape")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given, token.encode())


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
