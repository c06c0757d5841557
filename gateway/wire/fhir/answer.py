"""The content of an answer of a FHIR server: its resource, id and version, or an error that carries its fate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from gateway.errors import NeedsPerson, Unavailable
from gateway.wire.http import RETRYABLE, retry_after_of

TRANSIENT_ISSUES: Final = frozenset(
    {"transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled"}
)
"""Issue types that FHIR groups under 'transient': worth a retry whatever the status."""


ERRORS: Final = ("fatal", "error")
"""Severities of what stopped a request; a warning beside it decides nothing."""
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
    """Another writer was faster: the version named with If-Match is not the current one, or there is one where
    If-None-Match wants none (412, 409; 304 of LinuxForHealth FHIR, where it is set so)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer."""

    status: int
    resource: dict[str, Any] | None
    id: str
    version: str
    request_id: str = ""
    """X-Request-Id of the request; empty: of several, or of none of ours."""


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
    texts = "; ".join(issue["text"] for issue in issues if issue["text"])
    stated = f"HTTP {status}: {texts or HINTS.get(status) or reason}"
    codes = {issue["code"] for issue in issues if issue["severity"] in ERRORS} or {issue["code"] for issue in issues}
    passing = Contested if _contested(status, codes, conditional=conditional) else Unavailable
    if passing is Contested or status in RETRYABLE or codes & TRANSIENT_ISSUES:
        error = passing(stated, place=place, retry_after=retry_after)
        error.details = {"status": status}
        return error
    kind = NotSupported if "not-supported" in codes else _KINDS.get(status, Refused)
    return kind(stated, place=place, details={"status": status, "issues": issues})


def _contested(status: int, codes: set[str], *, conditional: bool) -> bool:
    return status in (304, 409, 412) and not (status == 412 and conditional) and not codes & MULTIPLE


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
    """The issues of an OperationOutcome as severity, code, text and path; [] for anything else. Errors come first,
    wherever the server wrote them: they are what stopped the request."""
    if not isinstance(resource, dict) or resource.get("resourceType") != "OperationOutcome":
        return []
    written = resource.get("issue")
    issues = [_issue(one) for one in (written if isinstance(written, list) else ()) if isinstance(one, dict)]
    return sorted(issues, key=lambda issue: _RANK.get(issue["severity"], len(_RANK)))


_RANK: Final = {severity: rank for rank, severity in enumerate((*ERRORS, "warning", "information"))}


def _issue(written: dict[str, Any]) -> dict[str, str]:
    details, paths = written.get("details"), written.get("expression") or written.get("location") or []
    text = (details.get("text") if isinstance(details, dict) else "") or written.get("diagnostics") or ""
    return {
        "severity": str(written.get("severity", "")), "code": str(written.get("code", "")),
        "text": str(text)[:1000], "path": ", ".join(map(str, paths if isinstance(paths, list) else [paths])),
    }  # fmt: skip


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


def answers_of(entries: Sequence[Resource], answered: Resource | None, place: str) -> list[Answer]:
    """The answer to each entry of a transaction, in their order. Raises the error of the first that failed."""
    reported = (answered or {}).get("entry") or []
    if len(reported) != len(entries):
        raise Unavailable(f"a transaction of {len(entries)} entries was answered with {len(reported)}", place=place)
    return [_answer_of(asked, one, place) for asked, one in zip(entries, reported, strict=True)]


def _answer_of(asked: Resource, reported: Resource, place: str) -> Answer:
    stated = reported.get("response") or {}
    status = int(str(stated.get("status", "0"))[:3] or 0)
    if not 200 <= status < 300:
        # Some servers run a transaction as a batch: each entry has a fate of its own.
        conditional = "?" in asked["request"]["url"] or "ifNoneExist" in asked["request"]
        outcome = reported.get("resource") or stated.get("outcome")
        raise error_of(status, outcome, place, conditional=conditional)
    held = reported.get("resource") or {}
    identity = str(held.get("id") or id_of(str(stated.get("location") or "")))
    return Answer(status, held or None, identity, tag(str(stated.get("etag") or "")) or version_of(held))


def carries(resource: Resource, identifier: str) -> bool:
    """Whether a resource has this identifier (`system|value`)."""
    system, _, value = identifier.partition("|")
    return any(
        one.get("value") == value and one.get("system", "") == system
        for one in resource.get("identifier") or ()
        if isinstance(one, dict)
    )
