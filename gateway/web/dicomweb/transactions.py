"""What is served over DICOMweb, as data: the routes, the capabilities and the documents are made from this table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from aiohttp import hdrs, web

from gateway.web.dicomweb.context import CONTEXT, DicomWebContext, base_uri
from gateway.web.dicomweb.performed_steps import STEPS, create_or_update, retrieve, update
from gateway.web.dicomweb.representations import PAYLOADS, preferred
from gateway.web.dicomweb.scheduled_steps import search_steps
from gateway.web.dicomweb.storage_commitment import REQUESTS, check_result, request_commitment
from gateway.web.dicomweb.storing.transaction import REQUEST_TYPES, STUDIES, store
from gateway.wire.dicomweb import capabilities, search
from gateway.wire.dicomweb.capabilities import Method, Resource
from gateway.wire.dicomweb.media_types import CAPABILITIES, JSON, ONE_RESULT, PLAIN_JSON, RESULTS, XML

ROLE: Final = "origin server"
_ALWAYS: Final = (400, 401, 403, 406, 503)
_WRITE: Final = (409, 413, 415)
_STEP: Final = f"{STEPS}/{{uid}}"
_COMMITMENT: Final = f"{REQUESTS}/{{uid}}"
_ACCEPT: Final = (hdrs.ACCEPT, hdrs.ACCEPT_CHARSET)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction of a resource. `also`: paths at which it is served besides, for clients that write them so;
    `of_pixels`: it is served where instances are kept with their pixels; `of_storing`: where they are taken."""

    path: str
    method: Method
    handler: Handler
    also: Sequence[str] = ()
    of_pixels: bool = False
    of_storing: bool = False


async def _capabilities(request: web.Request) -> web.Response:
    """WADL or JSON, whatever is preferred (PS3.18 8.9)."""
    media_type, *_ = preferred(request, CAPABILITIES)
    write = capabilities.as_json if media_type.name == PLAIN_JSON else capabilities.as_wadl
    body = write(base_uri(request), list(_resources(request.app[CONTEXT])), ROLE)
    return web.Response(body=body, content_type=media_type.name, charset="utf-8")


TRANSACTIONS: Final = (
    Transaction(
        "/",
        Method("RetrieveCapabilities", "8.9", hdrs.METH_OPTIONS, headers=(hdrs.ACCEPT,),
               response_types=tuple(map(str, CAPABILITIES)), statuses=(200, *_ALWAYS)),
        _capabilities,
        also=("", "/modality-scheduled-procedure-steps", _STEP, STUDIES),
    ),
    Transaction(
        "/modality-scheduled-procedure-steps",
        Method("Search", "14.4", hdrs.METH_GET, query=(*search.PARAMETERS, "accept", "charset"), headers=_ACCEPT,
               response_types=tuple(map(str, RESULTS)), statuses=(200, 204, *_ALWAYS)),
        search_steps,
    ),
    Transaction(
        _STEP,
        Method("Create", "15.4", hdrs.METH_POST, headers=(hdrs.CONTENT_TYPE,), request_types=PAYLOADS,
               statuses=(201, *_ALWAYS, *_WRITE)),
        create_or_update,
    ),
    Transaction(
        _STEP,
        Method("Update", "15.5", hdrs.METH_POST, query=("update",), headers=(hdrs.CONTENT_TYPE,),
               request_types=PAYLOADS, statuses=(200, *_ALWAYS, 404, *_WRITE)),
        create_or_update,
    ),
    Transaction(
        _STEP,
        Method("Retrieve", "15.6", hdrs.METH_GET, query=(search.INCLUDE, "accept", "charset"), headers=_ACCEPT,
               response_types=(JSON, PLAIN_JSON, XML), statuses=(200, *_ALWAYS, 404)),
        retrieve,
    ),
    Transaction(
        _COMMITMENT,
        Method("Request", "13.4", hdrs.METH_POST, headers=(hdrs.CONTENT_TYPE,), request_types=PAYLOADS,
               statuses=(202, *_ALWAYS, *_WRITE)),
        request_commitment,
        of_pixels=True,
    ),
    Transaction(
        _COMMITMENT,
        Method("ResultCheck", "13.5", hdrs.METH_GET, query=("accept", "charset"), headers=_ACCEPT,
               response_types=(JSON, PLAIN_JSON, XML), statuses=(200, 202, *_ALWAYS, 404)),
        check_result,
        of_pixels=True,
    ),
    *(
        Transaction(
            path,
            Method("Store", "10.5", hdrs.METH_POST, query=("accept",), headers=(hdrs.CONTENT_TYPE, hdrs.ACCEPT),
                   request_types=REQUEST_TYPES, response_types=tuple(map(str, ONE_RESULT)),
                   statuses=(200, 202, *_ALWAYS, *_WRITE)),
            store,
            of_storing=True,
        )
        for path in (STUDIES, f"{STUDIES}/{{uid}}")
    ),
)  # fmt: skip


def _served(context: DicomWebContext) -> list[Transaction]:
    has_pixels, stores = context.commitment is not None, context.storing is not None
    return [one for one in TRANSACTIONS if has_pixels >= one.of_pixels and stores >= one.of_storing]


def _resources(context: DicomWebContext) -> Iterator[Resource]:
    for path, transactions in groupby(_served(context), key=lambda one: one.path):
        yield Resource(path, [transaction.method for transaction in transactions])


def add_routes(application: web.Application) -> None:
    """Every path with and without a slash at its end, as the examples of the standard have both (PS3.18 B.36)."""
    routes = {
        (transaction.method.http_method, path): transaction.handler
        for transaction in _served(application[CONTEXT])
        for written in (transaction.path, *transaction.also)
        for path in {written, written.removesuffix("/"), f"{written.removesuffix('/')}/"}
    }
    # The path segment of examples B.38 and B.39, where the text has `?update` (15.5.1).
    routes |= {(hdrs.METH_POST, f"{_STEP}/update{end}"): update for end in ("", "/")}
    for (method, path), handler in routes.items():
        application.router.add_route(method, path, handler)
