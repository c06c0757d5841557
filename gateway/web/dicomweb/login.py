"""Which scanner asks: the user of a Basic login is its AE title; what `dicom.peers` says of that title holds here.

The password is the scanner's own API token or the peer's passcode; where it has no passcode, `http.token` too. An API
token opens the worklist and the performed steps of its own scanner alone, and nothing but `/dicomweb`. Who names no
user has the AE title of its token, else `DICOMWEB`.
"""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from gateway.web.login import Door, Handler, check_origin, credentials
from gateway.wire.dimse import AcceptorPolicy, Caller, Peer

WITHOUT_NAME: Final = "DICOMWEB"
_TITLE: Final = re.compile(r"(?=.{1,16}$)[\x21-\x5b\x5d-\x7e]+( [\x21-\x5b\x5d-\x7e]+)*", re.ASCII)
_HELP: Final = "log in with Basic: the AE title as user, its API token or passcode as password"
PEER: Final[web.RequestKey[Peer]] = web.RequestKey("peer", Peer)
SCANNER: Final[web.RequestKey[str]] = web.RequestKey("scanner", str)
OWN: Final[web.RequestKey[bool]] = web.RequestKey("own", bool)
"""The scanner showed a token of its own, which opens what is its own alone."""


def scanner_login(door: Door, policy: AcceptorPolicy) -> Middleware:
    """A middleware that finds out which scanner asks; answers 401 without a login, 403 to whom the policy refuses."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        shown = credentials(request)
        title = shown.user.strip() or await door.scanner_of(shown) or WITHOUT_NAME
        if not _TITLE.fullmatch(title):
            raise web.HTTPForbidden(text="the user of the login is no AE title (PS3.5 6.2)")
        request[PEER] = await _admitted(request, title, door, policy)
        request[SCANNER] = title
        return await handler(request)

    return middleware


def check_service(request: web.Request, service: str) -> None:
    """Raises 403 where the scanner may not use a service of `dicom.peers`."""
    if service not in request[PEER].services:
        raise web.HTTPForbidden(text=f"dicom.peers {request[SCANNER]}: {service} is not among its services")


async def _admitted(request: web.Request, title: str, door: Door, policy: AcceptorPolicy) -> Peer:
    peer = policy.peers.get(title, policy.others)
    passcode = peer.passcode if peer is not None else ""
    has_login = bool(passcode) or await door.asks()
    check_origin(request, has_login=has_login)
    if has_login:
        request[OWN] = await door.admit_scanner(credentials(request), request.remote or "", title, passcode, _HELP)
    identity = (peer.user, passcode) if peer is not None else None
    admitted = policy.admit(Caller(title, policy.ae_title, request.remote or ""), identity, {}, {})
    if not isinstance(admitted, Peer):
        raise web.HTTPForbidden(text=admitted.why)
    return admitted
