"""FHIR R4 over HTTP: conditional writes, searches, and what an answer means (HL7 FHIR R4 http.html)."""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from gateway.errors import NeedsPerson, Unavailable

MEDIA_TYPE: Final = "application/fhir+json"
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
RETRYABLE: Final = frozenset({408, 409, 425, 429, *range(500, 600)} - {501, 505})
"""Answers after which the same request may succeed; 409 is a write that met another. Proxies have 5xx of their own."""
TRANSIENT_ISSUES: Final = frozenset(
    {"transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled"}
)
"""Issue types that FHIR groups under 'transient': worth a retry whatever the status."""


HINTS: Final = {
    401: "the server does not take our token",
    403: "our token may not do this",
    404: "there is nothing at this address",
    405: "the server does not allow this kind of write",
}


class Refused(NeedsPerson):
    """The server judged the request and will judge it the same again. `details` go to whoever looks at it."""

    def __init__(self, message: str, *, place: str, details: dict[str, Any]) -> None:
        super().__init__(message, place=place)
        self.details = details


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer."""

    status: int
    resource: dict[str, Any] | None
    id: str
    version: str


class FhirClient:
    """One FHIR server. `async with`; safe for many requests at once.

    Raises `Unavailable` for what may pass (with `retry_after` when the server named a time), `Refused` for the rest.
    """

    def __init__(self, base: str, *, timeout_seconds: float, token: str | None = None, connections: int = 16) -> None:
        self.base = base.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, connect=min(timeout_seconds, 10.0))
        self._headers = {"Accept": MEDIA_TYPE} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=self._connections)
        self._session = aiohttp.ClientSession(timeout=self._timeout, headers=self._headers, connector=connector)
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

    async def put_by_identifier(self, resource: dict[str, Any], identifier: str) -> Answer:
        """Conditional update: create the resource or bring the one with `identifier` (`system|value`) up to date.

        A server need not say what it wrote (HTTP 204, `return=minimal`); it is then asked.
        """
        kind = str(resource["resourceType"])
        answer = await self._request("PUT", f"{kind}?identifier={_escape(identifier)}", resource)
        if answer.id or answer.version:
            return answer
        held = await self.find(kind, identifier)
        if len(held) != 1:
            # Not a FHIR server's word: a proxy's page, or a write that cannot be seen.
            raise Unavailable(
                "a write was answered without a resource, Location or ETag, and a search for it finds "
                f"{len(held)} resources",
                place=f"{self.base}/{kind}",
            )
        return Answer(answer.status, held[0], str(held[0].get("id") or ""), version_of(held[0]))

    async def find(self, kind: str, identifier: str) -> list[dict[str, Any]]:
        """The resources of `kind` that carry `identifier`."""
        answer = await self._request("GET", f"{kind}?identifier={_escape(identifier)}")
        if answer.resource is None or answer.resource.get("resourceType") != "Bundle":
            # Not "nothing found": a proxy's page, or more than we read, must not lead to a second write.
            raise Unavailable("a search was answered with something else than a Bundle", place=f"{self.base}/{kind}")
        entries = answer.resource.get("entry") or []
        return [one["resource"] for one in entries if one.get("resource", {}).get("resourceType") == kind]

    async def _request(self, method: str, path: str, resource: dict[str, Any] | None = None) -> Answer:
        assert self._session is not None, "FhirClient is used outside of 'async with'"
        body = None if resource is None else orjson.dumps(resource)
        headers = {} if body is None else {"Content-Type": MEDIA_TYPE}
        place = f"{method} {self.base}/{path.split('?')[0]}"
        try:
            # A redirect would carry the token and the patient's data to another origin.
            async with self._session.request(
                method,
                URL(f"{self.base}/{path}", encoded=True),
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as response:
                content = await _read(response)
                return _judge(response, content, place)
        except TimeoutError as error:
            # The write may still be under way over there: do not ask before it has had the same time again.
            wait = self._timeout.total if method != "GET" else None
            raise Unavailable(f"no answer ({type(error).__name__})", place=place, retry_after=wait) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"no answer ({type(error).__name__}: {_reason(error)})", place=place) from error


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The whole body, or its first `MAX_ANSWER_BYTES`."""
    content = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            break
    return bytes(content)


def _reason(error: BaseException) -> str:
    """What went wrong with a connection, in the system's words: refused, name not known, certificate."""
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    return str(getattr(cause, "strerror", None) or cause)[:200]


def _escape(identifier: str) -> str:
    """Only the bar is encoded: servers that key their locks on the text of the URL must see one spelling of it."""
    return quote(identifier, safe=":.-_~")


def _judge(response: aiohttp.ClientResponse, content: bytes, place: str) -> Answer:
    resource = _parse(content)
    if 200 <= response.status < 300:
        return Answer(response.status, resource, _id(response, resource), _version(response, resource))
    issues = issues_of(resource)
    texts = "; ".join(issue["text"] for issue in issues if issue["text"])
    said = f"HTTP {response.status}: {texts or HINTS.get(response.status) or response.reason}"
    if response.status in RETRYABLE or any(issue["code"] in TRANSIENT_ISSUES for issue in issues):
        raise Unavailable(said, place=place, retry_after=_retry_after(response))
    raise Refused(said, place=place, details={"status": response.status, "issues": issues})


def _parse(content: bytes) -> dict[str, Any] | None:
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def issues_of(resource: dict[str, Any] | None) -> list[dict[str, str]]:
    """The issues of an OperationOutcome as severity, code, text and path; [] for anything else."""
    if not resource or resource.get("resourceType") != "OperationOutcome":
        return []
    found = []
    for issue in resource.get("issue") or []:
        text = (issue.get("details") or {}).get("text") or issue.get("diagnostics") or ""
        paths = issue.get("expression") or issue.get("location") or []
        found.append({
            "severity": str(issue.get("severity", "")), "code": str(issue.get("code", "")),
            "text": str(text)[:1000], "path": ", ".join(str(one) for one in paths),
        })  # fmt: skip
    return found


def _id(response: aiohttp.ClientResponse, resource: dict[str, Any] | None) -> str:
    if resource and resource.get("resourceType") != "OperationOutcome" and resource.get("id"):
        return str(resource["id"])
    location = response.headers.get("Location") or response.headers.get("Content-Location") or ""
    parts = location.split("/_history")[0].rstrip("/").split("/")
    return parts[-1] if len(parts) > 1 else ""


def _version(response: aiohttp.ClientResponse, resource: dict[str, Any] | None) -> str:
    tag = response.headers.get("ETag", "").removeprefix("W/").strip('"')
    return tag or version_of(resource or {})


def version_of(resource: dict[str, Any]) -> str:
    """`meta.versionId`, '' from a server that keeps no versions."""
    return str((resource.get("meta") or {}).get("versionId") or "")


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Retry-After in seconds, from seconds or an HTTP date; no more than an hour."""
    written = response.headers.get("Retry-After", "").strip()
    if not written:
        return None
    if written.isdigit():
        return min(float(written), 3600.0)
    try:
        at = email.utils.parsedate_to_datetime(written)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - datetime.fromtimestamp(time.time(), UTC)).total_seconds(), 0.0), 3600.0)
