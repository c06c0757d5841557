"""An EHR behind a login: a token endpoint that checks assertions with PyJWT, and a FHIR address that wants tokens."""

from __future__ import annotations

import asyncio
import base64
import email.utils
import secrets
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import aiohttp
import jwt
from aiohttp import web
from yarl import URL

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class SmartEhr:
    """`async with SmartEhr(target)`: requests with a token it gave go on to the FHIR server at `target`."""

    def __init__(
        self, target: str, *, client_id: str = "gateway", client_secret: str = "", tls: ssl.SSLContext | None = None
    ) -> None:
        self.target = target
        self._tls = tls
        self.client_id = client_id
        self.client_secret = client_secret
        self.jwks_url = ""
        """Where the client's keys are fetched, anew for each assertion."""
        self.expires_in: float = 300
        self.granted: str | None = None
        """The scope that is granted; None: what was asked for."""
        self.clock_ahead = 0.0
        """Seconds by which the clock here is ahead of everybody's."""
        self.before_check: Callable[[], None] = lambda: None
        """Called when a request for a token has come, before it is looked at."""
        self.failures: list[tuple[int, dict[str, str]]] = []
        """Answers to the next requests for a token, in place of tokens."""
        self.forms: list[dict[str, str]] = []
        self.kids: list[str] = []
        """The kid of each assertion that was taken."""
        self.headers: list[dict[str, Any]] = []
        self.refusals: list[str] = []
        self.statuses: list[int] = []
        """What each request to the FHIR address was answered."""
        self._tokens: dict[str, float] = {}
        self._seen: set[str] = set()

    @property
    def url(self) -> str:
        return f"{self.origin}/fhir"

    @property
    def token_url(self) -> str:
        return f"{self.origin}/token"

    def revoke(self) -> None:
        """Forget every token."""
        self._tokens.clear()

    async def __aenter__(self) -> Self:
        page = web.Application(client_max_size=2**26)
        page.router.add_get("/fhir/.well-known/smart-configuration", self._configuration)
        page.router.add_post("/token", self._token)
        page.router.add_route("*", "/fhir/{path:.*}", self._fhir)
        self._runner = web.AppRunner(page, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self.origin = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._runner.addresses[0][1]}"
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        await self._runner.cleanup()

    def _now(self) -> float:
        return time.time() + self.clock_ahead

    async def _configuration(self, _request: web.Request) -> web.Response:
        return web.json_response({
            "token_endpoint": self.token_url,
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
            "capabilities": ["client-confidential-asymmetric"],
        })  # fmt: skip

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        self.before_check()
        dated = {"Date": email.utils.formatdate(self._now(), usegmt=True)}
        if self.failures:
            status, body = self.failures.pop(0)
            return web.json_response(body, status=status, headers=dated)
        try:
            if form.get("grant_type") != "client_credentials":
                raise jwt.InvalidTokenError("wrong grant_type")
            if "client_assertion" in form:
                await asyncio.to_thread(self._verify, form)
            else:
                self._verify_secret(form, request.headers.get("Authorization", ""))
        except jwt.PyJWTError as error:
            self.refusals.append(str(error))
            body = {"error": "invalid_client", "error_description": f"{error}: {form.get('client_assertion', '')}"}
            return web.json_response(body, status=400, headers=dated)
        token = secrets.token_urlsafe(24)
        self._tokens[token] = time.monotonic() + self.expires_in
        scope = form.get("scope", "") if self.granted is None else self.granted
        answer = {"access_token": token, "token_type": "bearer", "expires_in": self.expires_in, "scope": scope}
        return web.json_response(answer, headers=dated | {"Cache-Control": "no-store"})

    def _verify(self, form: dict[str, str]) -> None:
        """RFC 7523 3 and SMART Backend Services."""
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise jwt.InvalidTokenError("wrong client_assertion_type")
        assertion = form["client_assertion"]
        header = jwt.get_unverified_header(assertion)
        found = jwt.PyJWKClient(self.jwks_url, cache_jwk_set=False).get_signing_key_from_jwt(assertion)
        claims = jwt.decode(
            assertion,
            found.key,
            algorithms=["RS384", "ES384"],
            audience=self.token_url,
            issuer=self.client_id,
            # With a clock of its own the times are checked below.
            options={
                "require": ["exp", "iss", "sub", "aud", "jti"],
                "verify_exp": not self.clock_ahead,
                "verify_iat": not self.clock_ahead,
            },
        )
        left = claims["exp"] - self._now()
        if not 0 < left <= 300:
            raise jwt.InvalidTokenError(f"expires in {left:.0f} s")
        if claims["sub"] != self.client_id or header.get("typ") != "JWT":
            raise jwt.InvalidTokenError("wrong sub or typ")
        if claims["jti"] in self._seen:
            raise jwt.InvalidTokenError("jti was used before")
        self._seen.add(claims["jti"])
        self.kids.append(header["kid"])
        self.headers.append(header)

    def _verify_secret(self, form: dict[str, str], authorization: str) -> None:
        if authorization:
            shown = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        else:
            shown = f"{form.get('client_id')}:{form.get('client_secret')}"
        if not self.client_secret or shown != f"{self.client_id}:{self.client_secret}":
            raise jwt.InvalidTokenError("wrong secret")

    async def _fhir(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._tokens.get(token, 0.0) < time.monotonic():
            self.statuses.append(401)
            return web.json_response({"resourceType": "OperationOutcome", "issue": []}, status=401)
        kept = ("Accept", "Content-Type", "If-Match", "If-None-Exist", "Prefer")
        headers = {name: request.headers[name] for name in kept if name in request.headers}
        address = f"{self.target}/{request.raw_path.removeprefix('/fhir').lstrip('/')}"
        async with self._session.request(
            request.method, URL(address, encoded=True), data=await request.read(), headers=headers
        ) as response:
            body = await response.read()
            passed = {name: response.headers[name] for name in ("ETag", "Location") if name in response.headers}
            self.statuses.append(response.status)
            return web.Response(body=body, status=response.status, headers=passed, content_type=response.content_type)
