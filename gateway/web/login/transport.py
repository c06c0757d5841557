"""How a request came: over TLS or not, and whose it is where a reverse proxy handed it on."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Middleware

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HSTS: Final = "max-age=31536000"
"""Browsers come over TLS alone for a year, once they have (RFC 6797)."""
_WITH_PORT: Final = (re.compile(r"([0-9.]+):[0-9]+"), re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?"))


def transport(proxies: Sequence[str]) -> Middleware:
    """A middleware that lets X-Forwarded-For, -Proto and -Host count where one of `proxies` (addresses or networks)
    sends them, and tells browsers that came over TLS to come by it alone."""
    trusted = [ipaddress.ip_network(one, strict=False) for one in proxies]

    def is_proxy(address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in trusted)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if trusted and is_proxy(request.remote or ""):
            request = request.clone(**_stated(request, is_proxy))
        if request.scheme != "https":
            return await handler(request)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers["Strict-Transport-Security"] = HSTS
            raise
        if not response.prepared:
            response.headers["Strict-Transport-Security"] = HSTS
        return response

    return middleware


def _stated(request: web.Request, is_proxy: Callable[[str], bool]) -> dict[str, Any]:
    """What the proxies state. Of the addresses the last one that is no proxy's counts: whoever asked wrote those before
    it."""
    stated: dict[str, Any] = {}
    addresses = [one.strip() for one in ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")]
    for written in reversed([one for one in addresses if one]):
        if (address := _address(written)) is None:
            break
        stated["remote"] = address
        if not is_proxy(address):
            break
    if (scheme := _last(request, "X-Forwarded-Proto").lower()) in ("http", "https"):
        stated["scheme"] = scheme
    if host := _last(request, "X-Forwarded-Host"):
        stated["host"] = host
    return stated


def _address(written: str) -> str | None:
    """The IP address; some proxies write the port behind it, which is another one for each connection. None: it is
    none, but a word such as `unknown`, or what whoever asked has made up."""
    for form in _WITH_PORT:
        if found := form.fullmatch(written):
            written = found[1]
    try:
        return str(ipaddress.ip_address(written))
    except ValueError:
        return None


def _last(request: web.Request, name: str) -> str:
    return request.headers.getall(name, [""])[-1].rpartition(",")[2].strip()
