"""The content of an answer of a FHIR server: its resource, id and version, or an error that carries its fate."""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import orjson

from gateway.errors import NeedsPerson, Unavailable

RETRYABLE: Final = frozenset({408, 409, 425, 429, *range(500, 600)} - {501, 505})
"""Answers after which the same request may succeed; 409 is a write that met another. Proxies have 5xx of their own."""
TRANSIENT_ISSUES: Final = frozenset(
    {"transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled"}
)
"""Issue types that FHIR groups under 'transient': worth a retry whatever the status."""


MULTIPLE: Final = frozenset({"multiple-matches", "duplicate"})

Resource = dict[str, Any]

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
        self.details = dict(details)


class Gone(Refused):
    """There is no such resource, or no longer: 404, 410."""


class NotSupported(Refused):
    """The server does not do this kind of interaction: 405, 501, or an issue that says so."""


class SeveralMatch(Refused):
    """A conditional write whose condition more than one resource meets: 412."""


class Contested(Unavailable):
    """Another writer was faster: the version named with If-Match is not the current one (412, 409)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer."""

    status: int
    resource: dict[str, Any] | None
    id: str
    version: str


def judge(response: aiohttp.ClientResponse, content: bytes, place: str, *, conditional: bool) -> Answer:
    resource = _parse(content)
    if 200 <= response.status < 300:
        return Answer(response.status, resource, _id(response, resource), _version(response, resource))
    raise error_of(
        response.status, resource, place, conditional=conditional,
        reason=str(response.reason or ""), retry_after=retry_after_of(response),
    )  # fmt: skip


def error_of(
    status: int,
    resource: Any,
    place: str,
    *,
    conditional: bool,
    reason: str = "",
    retry_after: float | None = None,
) -> Unavailable | Refused:
    """The error of a failed request. `conditional`: it named a condition that resources are searched by."""
    issues = issues_of(resource)
    # Some servers put their warnings first; what stopped the write is an error.
    texts = "; ".join(issue["text"] for issue in sorted(issues, key=_is_no_error) if issue["text"])
    stated = f"HTTP {status}: {texts or HINTS.get(status) or reason}"
    codes = {issue["code"] for issue in issues}
    passing = Contested if _contested(status, codes, conditional=conditional) else Unavailable
    if passing is Contested or status in RETRYABLE or codes & TRANSIENT_ISSUES:
        error = passing(stated, place=place, retry_after=retry_after)
        error.details = {"status": status}
        return error
    kind = NotSupported if "not-supported" in codes else _KINDS.get(status, Refused)
    return kind(stated, place=place, details={"status": status, "issues": issues})


def _is_no_error(issue: dict[str, str]) -> bool:
    return issue["severity"] not in ("error", "fatal")


def _contested(status: int, codes: set[str], *, conditional: bool) -> bool:
    return status in (409, 412) and not (status == 412 and conditional) and not codes & MULTIPLE


_KINDS: Final[dict[int, type[Refused]]] = {
    404: Gone, 410: Gone, 405: NotSupported, 501: NotSupported, 412: SeveralMatch,
}  # fmt: skip


def _parse(content: bytes) -> dict[str, Any] | None:
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def issues_of(resource: Any) -> list[dict[str, str]]:
    """The issues of an OperationOutcome as severity, code, text and path; [] for anything else."""
    if not isinstance(resource, dict) or resource.get("resourceType") != "OperationOutcome":
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
    return id_of(response.headers.get("Location") or response.headers.get("Content-Location") or "")


def id_of(location: str) -> str:
    """The logical id in an address such as `ImagingStudy/7/_history/2`."""
    parts = location.split("/_history")[0].rstrip("/").split("/")
    return parts[-1] if len(parts) > 1 else ""


def _version(response: aiohttp.ClientResponse, resource: dict[str, Any] | None) -> str:
    return tag(response.headers.get("ETag", "")) or version_of(resource or {})


def tag(written: str) -> str:
    return written.removeprefix("W/").strip('"')


def version_of(resource: dict[str, Any]) -> str:
    """`meta.versionId`, '' from a server that keeps no versions."""
    return str((resource.get("meta") or {}).get("versionId") or "")


def carries(resource: Resource, identifier: str) -> bool:
    """Whether a resource has this identifier (`system|value`)."""
    system, _, value = identifier.partition("|")
    return any(
        one.get("value") == value and one.get("system", "") == system
        for one in resource.get("identifier") or ()
        if isinstance(one, dict)
    )


def retry_after_of(response: aiohttp.ClientResponse) -> float | None:
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


async def read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The whole body, or its first `most` bytes and a little more."""
    content = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        content += chunk
        if len(content) > most:
            break
    return bytes(content)


def no_answer(error: Exception, place: str) -> Unavailable | NeedsPerson:
    """The error of a request that got no answer from the server itself."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        # Not in its own words, which may hold the proxy's password.
        if error.status == 407:
            return NeedsPerson("the proxy does not take our user and password (HTTP 407): check proxy", place=place)
        return Unavailable(f"the proxy answers HTTP {error.status}", place=place)
    return Unavailable(f"no answer ({type(error).__name__}: {_reason(error)})", place=place)


def _reason(error: Exception) -> str:
    """What went wrong with a connection, in the system's words: refused, name not known, certificate."""
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    return str(getattr(cause, "strerror", None) or cause)[:200]
