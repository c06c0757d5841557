"""The HTTP side: `/metadata`, read and search of ImagingStudy, read of Endpoint. Everything else is refused in FHIR."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from email.utils import format_datetime
from typing import Any, Final

import orjson
from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware
from sqlalchemy import Connection

from gateway.clock import now as system_clock
from gateway.errors import InvalidValue
from gateway.mapping.studies.dates import instant
from gateway.mapping.studies.imaging_study import wado_rs_endpoint
from gateway.operations.audit.access import looked_at, subjects_of
from gateway.records.audit import AuditEvent
from gateway.records.identifiers import StudyInstanceUID
from gateway.store import Store, imaging_studies
from gateway.store.imaging_studies import Served
from gateway.web.auditing import SHOWN
from gateway.web.facade import query
from gateway.web.facade.bundle import outcome, resource_of, searchset
from gateway.web.facade.capability import statement
from gateway.web.facade.parameters import PARAMETERS
from gateway.web.facade.query import ImagingStudySearch
from gateway.web.failures import Handler, NotAcceptable, failures
from gateway.web.forms import FORM, posted
from gateway.web.login import person_of

ENDPOINT: Final = "Endpoint/wado-rs"
"""Where the Endpoint of the images is read, below the base address."""
FHIR_JSON: Final = "application/fhir+json"
_JSON_TYPES: Final = ("application/fhir+json", "application/json", "text/json", "application/*", "text/*", "*/*")
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")
MOST_COUNTED: Final = 10_000
"""Unless the total is asked for: it is optional in a Bundle, and to count a million takes a second."""
SEARCHES: Final = 2
"""At a time: worklist queries share the store's readers."""
_CODES: Final = {
    400: "invalid", 401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported", 406: "not-supported",
    413: "too-long", 415: "not-supported", 422: "processing", 503: "transient",
}  # fmt: skip
"""HTTP status -> issue-type of the OperationOutcome."""


@dataclass(frozen=True, slots=True)
class FacadeContext:
    store: Store
    zone: tzinfo
    version: str
    public_url: str
    wado_rs_url: str
    path: str
    started: str
    searching: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SEARCHES))

    def base(self, request: web.Request) -> str:
        """The address of this server as whoever asks knows it."""
        return self.public_url or f"{request.scheme}://{request.host}{self.path}"

    def endpoint(self) -> dict[str, Any] | None:
        return wado_rs_endpoint(ENDPOINT.partition("/")[2], self.wado_rs_url) if self.wado_rs_url else None


_CONTEXT: Final = web.AppKey("context", FacadeContext)


def build(
    store: Store, *, path: str, guard: Middleware, zone: tzinfo, version: str, now: int, public_url: str = "",
    wado_rs_url: str = "", note: Callable[[AuditEvent], None] = lambda event: None,
) -> web.Application:  # fmt: skip
    """The facade below `path`. `guard` lets in who may read; `zone` is that of dates without an offset; `public_url`
    is the base address to give in links, '' the one by which it was asked; `wado_rs_url` is where images are."""
    application = web.Application(middlewares=[_FAILURES_AS_OUTCOME, _only_json, guard, _recorded(note)])
    application[_CONTEXT] = FacadeContext(store, zone, version, public_url, wado_rs_url, path, instant(now))
    application.router.add_get("/metadata", _metadata)
    application.router.add_get("/ImagingStudy", _search)
    application.router.add_post("/ImagingStudy/_search", _search)
    application.router.add_get("/ImagingStudy/{id}", _read)
    application.router.add_get("/Endpoint/{id}", _read_endpoint)
    return application


async def _metadata(request: web.Request) -> web.Response:
    context = request.app[_CONTEXT]
    return _answer(statement(context.base(request), context.version, context.started))


async def _read(request: web.Request) -> web.Response:
    uid = request.match_info["id"]
    if not _ID.fullmatch(uid):
        raise web.HTTPNotFound(text="there is no ImagingStudy of this id")
    served = await request.app[_CONTEXT].store.read(
        lambda connection: imaging_studies.get(connection, StudyInstanceUID(uid))
    )
    if served is None:
        raise web.HTTPNotFound(text=f"there is no ImagingStudy {uid}")
    tag = f'W/"{served.version}"'
    changed = datetime.fromtimestamp(served.updated_at / 1_000_000, UTC)
    headers: dict[str, str] = {hdrs.ETAG: tag, hdrs.LAST_MODIFIED: format_datetime(changed, usegmt=True)}
    if _is_known(request, tag, changed):
        return web.Response(status=304, headers=headers)
    response = _answer(resource_of(served), headers=headers)
    response[SHOWN] = {"studies": [_audited(served)]}
    return response


def _is_known(request: web.Request, tag: str, changed: datetime) -> bool:
    """RFC 9110 13.2.2: who names versions is not asked for a time."""
    if named := request.headers.get(hdrs.IF_NONE_MATCH):
        # Weak comparison (13.1.2).
        held = tag.removeprefix("W/")
        return named.strip() == "*" or held in (tag.strip().removeprefix("W/") for tag in named.split(","))
    since = request.if_modified_since
    return since is not None and changed.replace(microsecond=0) <= since


async def _read_endpoint(request: web.Request) -> web.Response:
    endpoint = request.app[_CONTEXT].endpoint()
    if endpoint is None or request.match_info["id"] != endpoint["id"]:
        raise web.HTTPNotFound(text=f"there is no Endpoint {request.match_info['id']}")
    return _answer(endpoint)


async def _search(request: web.Request) -> web.Response:
    context = request.app[_CONTEXT]
    search = query.read(await _parameters(request), context.zone)
    if search.ignored and "handling=lenient" not in request.headers.get("Prefer", "").replace(" ", "").lower():
        # Not left out: what was meant to narrow the search would find other patients' studies.
        raise InvalidValue(
            f"not served: {', '.join(search.ignored)}; served are {', '.join(PARAMETERS)}; with 'Prefer: "
            "handling=lenient' others are left out"
        )
    async with context.searching:
        shown, more, total = await context.store.read(lambda connection: _look(connection, search))
    base, endpoint = context.base(request), context.endpoint()

    def body() -> bytes:
        return orjson.dumps(searchset(base, search, shown, more=more, total=total, endpoint=endpoint))

    response = _json(await asyncio.to_thread(body))
    response[SHOWN] = {"studies": [_audited(one) for one in shown]}
    return response


def _look(connection: Connection, search: ImagingStudySearch) -> tuple[list[Served], bool, int | None]:
    if search.summary == "count":
        return [], False, imaging_studies.total(connection, search.question)
    # Counted once: on the first page.
    if search.total == "none" or search.question.after is not None:
        return *imaging_studies.search(connection, search.question), None
    most = None if search.total == "accurate" else MOST_COUNTED
    return imaging_studies.search_and_count(connection, search.question, most=most)


async def _parameters(request: web.Request) -> list[tuple[str, str]]:
    parameters = list(request.query.items())
    if request.method == hdrs.METH_POST:
        if request.content_type != FORM:
            raise web.HTTPUnsupportedMediaType(text=f"send the search as {FORM}")
        form = await posted(request)
        parameters += [(name, value) for name, value in form.items() if isinstance(value, str)]
    return parameters


def _audited(served: Served) -> dict[str, str]:
    """Whose study it is, for the audit trail."""
    identifier = (served.resource.get("subject") or {}).get("identifier") or {}
    return {"study_uid": served.study_uid, "patient_id": str(identifier.get("value") or "")}


def _recorded(note: Callable[[AuditEvent], None]) -> Middleware:
    """Records who was shown which studies, and the search that found them."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        shown = response.get(SHOWN)
        if shown is not None:
            address = request.path_qs if request.query_string else request.path
            note(looked_at(person_of(request), address, subjects_of(shown), system_clock()))
        return response

    return middleware


def _answer(
    resource: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:  # fmt: skip
    return _json(orjson.dumps(resource), status=status, headers=headers)


def _json(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=body, status=status, headers=headers, content_type=FHIR_JSON, charset="utf-8")


@web.middleware
async def _only_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Serve JSON or nothing."""
    _check_accepted(request)
    return await handler(request)


def _check_accepted(request: web.Request) -> None:
    """`_format` goes before Accept (R4 3.1.0.1.11)."""
    if "_format" in request.query:
        query.check_format(request.query["_format"])
        return
    accepted = request.headers.get(hdrs.ACCEPT, "*/*")
    if not any(media_type.split(";")[0].strip().lower() in (*_JSON_TYPES, "") for media_type in accepted.split(",")):
        raise NotAcceptable("only JSON is served", place="Accept")


def _outcome(message: str, place: str, status: int) -> web.Response:
    return _answer(outcome(message, place, _CODES.get(status, "exception")), status=status)


_TEXTS: Final = {405: "this server is read-only; its CapabilityStatement is at /metadata"}
_FAILURES_AS_OUTCOME: Final = failures(_outcome, _TEXTS)
