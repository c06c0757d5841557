"""Which scanner asks: the user of a Basic login is its AE title; what `dicom.peers` says of that title holds here.

The password is the peer's passcode, where it has one; else the token of the console. Who names no user (Bearer, or no
login where none is asked for) has the AE title `DICOMWEB`.
"""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from gateway.web.login import Credentials, Handler, Token, check_origin, credentials, is_secret, not_logged_in
from gateway.wire.dimse import AcceptorPolicy, Caller, Peer

WITHOUT_NAME: Final = "DICOMWEB"
_TITLE: Final = re.compile(r"(?=.{1,16}$)[\x21-\x5b\x5d-\x7e]+( [\x21-\x5b\x5d-\x7e]+)*", re.ASCII)
_HELP: Final = "log in with Basic: the AE title as user, the peer's passcode or http.token as password"
PEER: Final[web.RequestKey[Peer]] = web.RequestKey("peer", Peer)
SCANNER: Final[web.RequestKey[str]] = web.RequestKey("scanner", str)


def scanner_login(token: Token | str | None, policy: AcceptorPolicy) -> Middleware:
    """A middleware that finds out which scanner asks; answers 401 without a login, 403 to whom the policy refuses."""
    asked = Token.of(token)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        shown = credentials(request)
        title = shown.user.strip() or WITHOUT_NAME
        if not _TITLE.fullmatch(title):
            raise web.HTTPForbidden(text="the user of the login is no AE title (PS3.5 6.2)")
        request[PEER] = _admitted(request, shown, title, asked.value, policy)
        request[SCANNER] = title
        return await handler(request)

    return middleware


def check_service(request: web.Request, service: str) -> None:
    """Raises 403 where the scanner may not use a service of `dicom.peers`."""
    if service not in request[PEER].services:
        raise web.HTTPForbidden(text=f"dicom.peers {request[SCANNER]}: {service} is not among its services")


def _admitted(request: web.Request, shown: Credentials, title: str, token: str | None, policy: AcceptorPolicy) -> Peer:
    peer = policy.peers.get(title, policy.others)
    passcode = peer.passcode if peer is not None else ""
    secret = passcode or token
    if secret and not is_secret(shown.secret, secret):
        raise not_logged_in(_HELP)
    check_origin(request, has_token=bool(secret))
    identity = (peer.user, passcode) if peer is not None else None
    admitted = policy.admit(Caller(title, policy.ae_title, request.remote or ""), identity, {}, {})
    if not isinstance(admitted, Peer):
        raise web.HTTPForbidden(text=admitted.why)
    return admitted
