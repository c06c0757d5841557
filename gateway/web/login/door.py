"""Who may use the HTTP side: by a session, an API token or the token of the configuration.

Where nobody is asked for a login (on loopback, without users and token), everybody is an admin, as on a machine of
one's own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from gateway.operations.people.people import People
from gateway.operations.people.provider import ProviderLogins
from gateway.records.api_token import ApiToken
from gateway.records.person import Login, Person, Role
from gateway.records.secret import digest_of
from gateway.web.login import cookies
from gateway.web.login.credentials import Credentials, Token, credentials, is_secret, not_logged_in
from gateway.web.login.origin import check_origin
from gateway.web.login.visit import PERSON, VISIT, Visit

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SHARED: Final = "token"
"""Name of whoever shows a token of the configuration."""
MOST_TRUSTED: Final = 1000
LONGEST_BACK: Final = 2048
"""Of the page that was asked for, which the page for a login is told of."""
_HELP: Final = "log in with a token: Bearer, or Basic with it as password"


class Door:
    """`token`: of the configuration. `always`: a login is asked for though there are neither token nor users.
    `provider`: at which people may log in. `proxies`: addresses of reverse proxies that encrypt."""

    def __init__(
        self, token: Token, people: People, *, always: bool = False, provider: ProviderLogins | None = None,
        proxies: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.people = people
        self.provider = provider
        self.proxies = proxies
        self._token = token
        self._always = always or provider is not None
        self._trusted: dict[bytes, None] = {}
        """Digests of tokens of the configuration and of passcodes that were right: whoever shows them is not stopped by
        wrong ones from the same address."""

    async def asks(self) -> bool:
        """Whether a login is asked for."""
        return bool(self._token.value) or self._always or await self.people.has_users()

    async def has_page(self) -> bool:
        """Whether people log in on a page; else browsers ask for the token of the configuration themselves."""
        return not self._token.value or self.provider is not None or await self.people.has_users()

    def visit(self, request: web.Request) -> Visit:
        """The request before its login."""
        is_secure = request.scheme == "https"
        origin = f"{request.scheme}://{request.host}"
        login = cookies.read(request, cookies.LOGIN, is_secure=is_secure)
        return Visit(request.remote or "", is_secure, origin, login=login)

    async def enter(self, request: web.Request) -> tuple[Person, Visit]:
        """Who makes a request. Raises 401, or 303 to the page for a login, or 403; `TooManyTries`, `Unavailable`."""
        visit, asks = self.visit(request), await self.asks()
        check_origin(request, has_login=asks)
        if not asks:
            return Person("", Role.ADMIN, visit.address, Login.LOOPBACK), visit
        if hdrs.AUTHORIZATION in request.headers:
            shown = credentials(request)
            return await self._by_header(shown, visit), replace(visit, token=shown.text)
        secret = cookies.read(request, cookies.SESSION, is_secure=visit.is_secure)
        session = await self.people.session_of(secret) if secret else None
        if session is None:
            raise await self._not_logged_in(request)
        visit = Visit(visit.address, visit.is_secure, visit.origin, session, secret)
        return Person(session.name, session.role, visit.address, session.login), visit

    async def _by_header(self, shown: Credentials, visit: Visit) -> Person:
        # Before the tries are counted: nobody guesses 256 random bits, and wrong ones from the same address shut out no
        # right one. A token of the configuration may be short.
        if (token := await self._api_token(shown)) is not None:
            if token.role is None:
                text = f"this token is for the scanner {token.ae_title}: it opens /dicomweb alone"
                raise web.HTTPForbidden(text=text)
            return Person(token.name, token.role, visit.address, Login.CLIENT)
        await self.check_tries(shown, visit.address)
        if not ((secret := self._token.value) and is_secret(shown.secret, secret)):
            raise await self.wrong(shown, visit.address, _HELP)
        self.trust(shown)
        return Person(SHARED, Role.ADMIN, visit.address, Login.TOKEN)

    async def _api_token(self, shown: Credentials) -> ApiToken | None:
        return await self.people.token_of(shown.text) if shown.secret else None

    async def scanner_of(self, shown: Credentials) -> str:
        """The AE title of the scanner whose API token is shown; empty: it is none."""
        token = await self._api_token(shown)
        return token.ae_title if token is not None else ""

    async def admit_scanner(self, shown: Credentials, address: str, title: str, passcode: str, help: str) -> bool:
        """Whether the scanner of an AE title shows an API token of its own; False: its passcode, or without a passcode
        the token of the configuration. Raises 401, 403 or `TooManyTries` for whatever else."""
        if (token := await self._api_token(shown)) is not None:
            if token.ae_title != title:
                owner = f"the scanner {token.ae_title}" if token.ae_title else "the console and the API"
                raise web.HTTPForbidden(text=f"this token is for {owner}, not for the scanner {title}")
            return True
        await self.check_tries(shown, address)
        shared = passcode or self._token.value
        if not (shared and is_secret(shown.secret, shared)):
            raise await self.wrong(shown, address, help)
        self.trust(shown)
        return False

    async def check_tries(self, shown: Credentials, address: str) -> None:
        """Raises `TooManyTries` for a secret that was never right, after too many wrong ones from its address."""
        if shown.secret and digest_of(shown.text) not in self._trusted:
            await self.people.check_tries(address)

    def trust(self, shown: Credentials) -> None:
        """The secret is right."""
        digest = digest_of(shown.text)
        self._trusted.pop(digest, None)
        self._trusted[digest] = None
        if len(self._trusted) > MOST_TRUSTED:
            self._trusted.pop(next(iter(self._trusted)))

    async def wrong(self, shown: Credentials, address: str, text: str) -> web.HTTPUnauthorized:
        """401, which is counted where a secret was shown. Raises `TooManyTries`."""
        self._trusted.pop(digest_of(shown.text), None)
        if shown.secret:
            await self.people.refused_token(address)
        return not_logged_in(text)

    async def _not_logged_in(self, request: web.Request) -> web.HTTPException:
        if not await self.has_page():
            return not_logged_in(_HELP)
        if request.method == hdrs.METH_GET and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
            back = request.path_qs if len(request.path_qs) <= LONGEST_BACK else "/"
            return web.HTTPSeeOther(f"/login?back={quote(back, safe='')}")
        # To a script of a page a challenge by Basic would be a dialogue of the browser that no password answers.
        return not_logged_in(_HELP, basic="Sec-Fetch-Mode" not in request.headers)


def guard(door: Door, open_paths: frozenset[str]) -> Middleware:
    """A middleware that lets through with `request[PERSON]`, or answers as `Door.enter` raises. `open_paths` are for
    everybody; a page of another site cannot post to them either."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _canonical(request) in open_paths:
            request[VISIT] = door.visit(request)
            check_origin(request, has_login=True)
        else:
            request[PERSON], request[VISIT] = await door.enter(request)
        return await handler(request)

    return middleware


def _canonical(request: web.Request) -> str:
    """The path, or the template of the route that serves it."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else request.path
