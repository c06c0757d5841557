"""Answers of the simulated EHR: outcomes, capabilities, checks of requests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from gateway.simulators.fhir_elements import RESOURCES, UNCHANGING
from gateway.simulators.fhir_rules import Issue, faults
from gateway.simulators.fhir_store import FhirError, Resource
from gateway.simulators.manners_file import Rule, Server

RULE = web.RequestKey("rule", Rule)

_MEDIA = "application/fhir+json"

MAX_BODY = 64 * 1024 * 1024

_CODES = {429: "throttled", 503: "transient"}


@dataclass(frozen=True)
class Manners:
    """How the EHR behaves; `Manners()` is a polite one. Counts go down as they are used up."""

    fail_next: int = 0
    """So many of the next writes are answered with `status` and change nothing."""
    status: int = 503
    retry_after: int | None = None
    """Seconds, in the Retry-After header of a failure."""
    reads_too: bool = False
    """Reads and searches fail like writes."""
    html: bool = False
    """A failure is an HTML page, as a proxy in front of an EHR sends it, not an OperationOutcome."""
    drop_next: int = 0
    """So many of the next writes are kept, and the connection is closed before the answer.

    HTTP clients may repeat a PUT by themselves (RFC 9110 9.2.2); aiohttp's does so once, which counts as two.
    """
    body_seconds: float = 0.0
    """How long the second half of every body lets the receiver wait."""


def served_type(request: web.Request) -> str:
    resource_type = request.match_info["type"]
    if resource_type not in RESOURCES:
        raise FhirError(
            404,
            Issue("not-supported", "", f"{resource_type} is not served; served are {', '.join(RESOURCES)}"),
        )
    if request.method in ("PUT", "DELETE") and resource_type in UNCHANGING:
        raise FhirError(405, Issue("not-supported", "", f"{resource_type} is neither changed nor deleted"))
    return resource_type


async def body_of(request: web.Request) -> Resource:
    if request.content_type not in (_MEDIA, "application/json"):
        raise FhirError(415, Issue("not-supported", "", f"Content-Type must be {_MEDIA}"))
    try:
        resource = json.loads(await request.text())
    except (ValueError, LookupError) as error:
        raise FhirError(400, Issue("structure", "", f"the body is not JSON: {error}")) from error
    if not isinstance(resource, dict):
        raise FhirError(400, Issue("structure", "", "the body is not a resource"))
    return resource


def check_resource(resource: Resource, resource_type: str) -> None:
    if resource.get("resourceType") != resource_type:
        raise FhirError(400, Issue("invalid", "resourceType", f"must be {resource_type}"))
    if found := faults(resource):
        raise FhirError(422, *found)


def check_version(request: web.Request, existing: Resource | None) -> None:
    """Version-aware update: If-Match must name the current version (R4 http 3.1.0.5)."""
    wanted = request.headers.get("If-Match")
    if wanted is not None and (existing is None or wanted != f'W/"{existing["meta"]["versionId"]}"'):
        raise FhirError(412, Issue("conflict", "", f"If-Match {wanted} is not the current version"))


def abort(request: web.Request) -> web.Response:
    """Close the connection; the response is for aiohttp, which sends it to nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def failure_answer(manners: Manners, *, code: str = "", text: str = "") -> web.Response:
    # Proxies answer with statuses of their own, such as 520.
    known = manners.status in HTTPStatus.__members__.values()
    stated = f"{manners.status} {HTTPStatus(manners.status).phrase if known else 'Failure'}"
    if manners.html:
        page = f"<html><head><title>{stated}</title></head><body><h1>{stated}</h1></body></html>"
        response = web.Response(status=manners.status, body=page.encode(), content_type="text/html")
    else:
        code = code or ("processing" if manners.status in (400, 403, 422) else _CODES.get(manners.status, "exception"))
        response = outcome_answer(manners.status, [Issue(code, "", text or stated)])
    if manners.retry_after is not None:
        response.headers["Retry-After"] = str(manners.retry_after)
    return response


def outcome_answer(status: int, issues: Sequence[Issue]) -> web.Response:
    return json_answer(status, {"resourceType": "OperationOutcome", "issue": list(_issues(issues))})


def _issues(issues: Sequence[Issue]) -> Iterator[Resource]:
    for issue in issues:
        where = {"expression": [issue.expression]} if issue.expression else {}
        yield {"severity": "error", "code": issue.code, "details": {"text": issue.text}, **where}


def json_answer(status: int, resource: Resource) -> web.Response:
    return web.Response(status=status, body=json.dumps(resource).encode(), content_type=_MEDIA)


def capability_statement(server: Server) -> Resource:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2025-01-01",
        "kind": "instance",
        "software": {"name": "EHR simulator"},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "resource": [_served(resource_type, server) for resource_type in RESOURCES],
            }
        ],
    }


def _served(resource_type: str, server: Server) -> Resource:
    changing = () if resource_type in UNCHANGING else ("update", "delete")
    conditional = server.conditional != "refused"
    return {
        "type": resource_type,
        "interaction": [{"code": code} for code in ("create", "read", "search-type", *changing)],
        "versioning": "versioned",
        "updateCreate": server.update_create,
        "conditionalCreate": conditional,
        "conditionalUpdate": conditional,
        "searchParam": [{"name": "identifier", "type": "token"}],
    }
