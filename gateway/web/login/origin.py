"""Requests that a web page of another site made in somebody's browser.

Without a login the gateway is bound to loopback, and the danger left is such a page: one that makes its own name
resolve to 127.0.0.1 (DNS rebinding), or that sends a form across sites. The first is met by the Host it must send, the
second by its Origin; forms of a session hold a token besides.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from aiohttp import hdrs, web


def check_origin(request: web.Request, *, has_login: bool) -> None:
    """Raises 403 for what a web page of another site may have sent. `has_login`: a login is asked for."""
    if not has_login and not _is_local(request.host):
        raise web.HTTPForbidden(text="without a login the console answers to localhost and IP addresses only")
    if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD) and not _same_site(request):
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
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is None or origin.partition("://")[2].lower() == request.host.lower()
