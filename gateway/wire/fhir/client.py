"""FHIR over HTTP: reads, writes under conditions, searches, and the reading of answers (HL7 FHIR http.html)."""

from __future__ import annotations

import asyncio
import gzip
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from ssl import SSLContext
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson
from yarl import URL

from gateway.errors import NeedsPerson, Unavailable
from gateway.wire.fhir.answer import (
    Answer,
    Gone,
    Refused,
    Resource,
    answers_of,
    carries,
    judge,
    version_of,
)
from gateway.wire.fhir.encoding import COMPRESSED_BYTES, Gzip, escape, takes_gzip
from gateway.wire.fhir.pace import Pace
from gateway.wire.http import Connect, no_answer, read
from gateway.wire.oauth.authorization import Anonymous, Authorization, with_login

Confirm = Callable[[], Awaitable[None]]
"""Awaited right before a request that writes goes out: what it raises is raised, and nothing is sent."""

MEDIA_TYPE: Final = "application/fhir+json"

REQUEST_ID: Final = "X-Request-Id"

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024

SEARCH_HEADERS: Final = {"Prefer": "handling=strict", "Cache-Control": "no-cache"}
"""A search parameter that the server does not know is an error, not left out (R4 search 3.1.1.1); and the answer is of
now: some servers answer an equal search from a cache for a minute, "nothing found" too."""


class FhirClient:
    """One FHIR server. `async with`; safe for many requests at once.

    Raises `Unavailable` for what may pass (with `retry_after` when the server named a time), `Refused` for the rest.
    """

    def __init__(
        self,
        base: str,
        *,
        timeout_seconds: float,
        authorization: Authorization | None = None,
        ssl: SSLContext | None = None,
        proxy: str | None = None,
        connections: int = 16,
        per_second: float | None = None,
        compress: Gzip = "auto",
    ) -> None:
        """`per_second`: no more requests than so many. `compress`: whether bodies are sent compressed; auto: once the
        server has announced gzip in an answer (Accept-Encoding, RFC 7694)."""
        self.base = base.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, connect=min(timeout_seconds, 10.0))
        self._authorization = authorization or Anonymous()
        self._connect = Connect(timeout_seconds, ssl, proxy, connections)
        self._pace = Pace(per_second)
        self._gzip = compress
        self._compresses = compress == "always"
        self._unpacks = False
        """It has taken a compressed body."""
        self._session: aiohttp.ClientSession | None = None

    def authorize(self, authorization: Authorization) -> None:
        """Log in with `authorization` from the next request on."""
        self._authorization = authorization

    async def __aenter__(self) -> Self:
        self._session = self._connect.session(self._timeout, headers={"Accept": MEDIA_TYPE})
        # aiohttp sends a PUT again by itself when a kept-alive connection ends before the answer. Whether to send again
        # is ours to decide, after asking; there is no public switch, so a test watches that this one holds.
        self._session._retry_connection = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def capabilities(self) -> dict[str, Any]:
        """GET /metadata."""
        return (await self._request("GET", "metadata")).resource or {}

    async def put_by_identifier(self, resource: Resource, identifier: str, *, confirm: Confirm | None = None) -> Answer:
        """Conditional update: create the resource or bring the one with `identifier` (`system|value`) up to date.

        A server need not say what it wrote (HTTP 204, `return=minimal`); it is then asked. Raises `SeveralMatch`.
        """
        kind = str(resource["resourceType"])
        answer = await self._request("PUT", f"{kind}?identifier={escape(identifier)}", resource, confirm=confirm)
        return await self._told(answer, kind, identifier)

    async def create(
        self, resource: Resource, *, unless: str = "", identifier: str = "", confirm: Confirm | None = None
    ) -> Answer:
        """POST; with `unless` (`system|value`) nothing is created, and 200 answered, where a resource has that
        identifier (If-None-Exist). Raises `SeveralMatch`.

        `identifier` finds what was written on a server that does not say.
        """
        kind = str(resource["resourceType"])
        condition = {"If-None-Exist": f"identifier={escape(unless)}"} if unless else {}
        answer = await self._request("POST", kind, resource, condition, confirm=confirm)
        return await self._told(answer, kind, unless or identifier)

    async def put(
        self, resource: Resource, *, version: str = "", is_new: bool = False, confirm: Confirm | None = None
    ) -> Answer:
        """Update by `id`, or create under it; with `version` only where that is the current one (If-Match), with
        `is_new` only where there is none (If-None-Match), as far as the server keeps to these.

        Raises `Contested` when it is not, `Gone` where there is nothing to update.
        """
        kind, identity = str(resource["resourceType"]), str(resource["id"])
        condition = {"If-Match": f'W/"{version}"'} if version else {"If-None-Match": "*"} if is_new else {}
        answer = await self._request("PUT", f"{kind}/{identity}", resource, condition, confirm=confirm)
        if answer.version:
            return Answer(answer.status, answer.resource, identity, answer.version, answer.request_id)
        # Either kept without versions or not reported; without one a later write cannot see that another came between.
        held = await self.read(kind, identity)
        return Answer(answer.status, held, identity, version_of(held or {}), answer.request_id)

    async def read(self, kind: str, identity: str) -> Resource | None:
        """The resource as it stands; None when there is none."""
        try:
            answer = await self._request("GET", f"{kind}/{identity}")
        except Gone:
            return None
        if answer.resource is None or answer.resource.get("resourceType") != kind:
            raise Unavailable(f"a read was answered with something else than a {kind}", place=f"{self.base}/{kind}")
        return answer.resource

    async def delete(self, kind: str, identity: str, *, confirm: Confirm | None = None) -> None:
        """Delete by id; what is not there is deleted."""
        with suppress(Gone):
            await self._request("DELETE", f"{kind}/{identity}", confirm=confirm)

    async def transaction(self, entries: Sequence[Resource], *, confirm: Confirm | None = None) -> list[Answer]:
        """All of `entries` or none (R4 http 3.1.0.11); an answer for each, in their order."""
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}
        answer = await self._request("POST", "", bundle, confirm=confirm)
        return answers_of(entries, answer.resource, f"POST {self.base}")

    async def find(self, kind: str, identifier: str) -> list[Resource]:
        """The resources of `kind` that carry `identifier`.

        Raises `NeedsPerson` where a server finds others than were asked for: writes by identifier are not safe there.
        """
        entries = (await self.bundle(f"{kind}?identifier={escape(identifier)}")).get("entry") or []
        found = [one["resource"] for one in entries if one.get("resource", {}).get("resourceType") == kind]
        strangers = [one for one in found if not carries(one, identifier)]
        if strangers:
            raise NeedsPerson(
                f"a search for one identifier finds {len(strangers)} resources that do not have it: the server ignores "
                "the search parameter 'identifier', and nothing can be written to it without harm",
                place=f"{self.base}/{kind}",
            )
        return found

    async def bundle(self, path: str) -> Resource:
        """A page of a search: `path` with its query, or an address that the server named for the next page."""
        answer = await self._request("GET", path, headers=SEARCH_HEADERS)
        if answer.resource is None or answer.resource.get("resourceType") != "Bundle":
            # Not "nothing found": a proxy's page, or more than we read, must not lead to a second write.
            place = f"{self.base}/{path.split('?')[0].removeprefix(f'{self.base}/')}"
            raise Unavailable("a search was answered with something else than a Bundle", place=place)
        return answer.resource

    async def _told(self, answer: Answer, kind: str, identifier: str) -> Answer:
        """`answer`, completed by a search where the server did not say what it wrote."""
        if answer.id or not identifier:
            return answer
        held = await self.find(kind, identifier)
        if len(held) != 1:
            # Not a FHIR server's word: a proxy's page, or a write that cannot be seen.
            raise Unavailable(
                "a write was answered without a resource, Location or ETag, and a search for it finds "
                f"{len(held)} resources",
                place=f"{self.base}/{kind}",
            )
        return Answer(answer.status, held[0], str(held[0].get("id") or ""), version_of(held[0]), answer.request_id)

    async def _request(
        self, method: str, path: str, resource: Resource | None = None, headers: Mapping[str, str] | None = None,
        *, confirm: Confirm | None = None,
    ) -> Answer:  # fmt: skip
        """`path`: below the base, or an address that the server named itself, such as that of a next page."""
        body = None if resource is None else orjson.dumps(resource)
        sent = dict(headers or {}) | ({} if body is None else {"Content-Type": MEDIA_TYPE})
        request = _Request(method, path, self._address(path), body, confirm)

        async def once(shown: Mapping[str, str]) -> Answer | Refused:
            try:
                return await self._once(request, {**sent, **shown})
            except Refused as error:
                return error

        answer = await with_login(self._authorization, once, _is_login_refused)
        if isinstance(answer, Refused):
            raise answer
        return answer

    def _address(self, path: str) -> URL:
        """Raises `NeedsPerson` for an address of another origin, which must see neither token nor patient."""
        if "://" not in path.split("?")[0]:
            return URL(f"{self.base}/{path}" if path else self.base, encoded=True)
        address = URL(path, encoded=True)
        if address.origin() != URL(self.base).origin():
            raise NeedsPerson(
                f"the server names an address of another origin ({address.origin()}), to which nothing is sent",
                place=self.base,
            )
        return address

    async def _once(self, request: _Request, headers: Mapping[str, str]) -> Answer:
        """One request, under an id that both sides can look for in their logs."""
        name, body = str(uuid.uuid4()), request.body
        sent, compresses = {**headers, REQUEST_ID: name}, self._compresses
        await self._pace.turn()
        try:
            if body is None or not compresses or len(body) < COMPRESSED_BYTES:
                return replace(await self._exchange(request, body, sent), request_id=name)
            packed = await asyncio.to_thread(gzip.compress, body, 1)
            try:
                answer = await self._exchange(request, packed, {**sent, "Content-Encoding": "gzip"})
            except Refused as error:
                # Some say 400 to what they cannot unpack.
                wrong = (415,) if self._unpacks else (415, 400)
                if error.details.get("status") not in wrong or self._gzip == "always":
                    raise
            else:
                self._unpacks = True
                return replace(answer, request_id=name)
            # The server announced gzip and refuses it; nothing was done with this request.
            self._gzip, self._compresses = "never", False
            return replace(await self._exchange(request, body, sent), request_id=name)
        except (Refused, Unavailable) as error:
            error.details = {**error.details, "request_id": name}
            raise

    async def _exchange(self, request: _Request, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        assert self._session is not None, "FhirClient is used outside of 'async with'"
        place = f"{request.method} {self.base}/{request.path.split('?')[0].removeprefix(f'{self.base}/')}"
        conditional = "?" in request.path or "If-None-Exist" in headers
        if request.confirm is not None:
            await request.confirm()
        try:
            # A redirect would carry the token and the patient's data to another origin.
            async with self._session.request(
                request.method, request.address, data=body, headers=headers, allow_redirects=False
            ) as response:
                content = await read(response, MAX_ANSWER_BYTES)
                if self._gzip == "auto" and (encodings := response.headers.get("Accept-Encoding")) is not None:
                    self._compresses = takes_gzip(encodings)
                return judge(response, content, place, conditional=conditional)
        except TimeoutError as error:
            # The write may still be under way over there: do not ask before it has had the same time again.
            wait = self._timeout.total if request.method != "GET" else None
            raise Unavailable(f"no answer ({type(error).__name__})", place=place, retry_after=wait) from error
        except (aiohttp.ClientError, OSError) as error:
            raise no_answer(error, place) from error


def _is_login_refused(answer: Answer | Refused) -> bool:
    return isinstance(answer, Refused) and answer.details.get("status") == 401


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    address: URL
    body: bytes | None
    confirm: Confirm | None
