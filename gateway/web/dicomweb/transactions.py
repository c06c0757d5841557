"""What is served over DICOMweb, as data: the routes, the capabilities and the documents are made from this table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from aiohttp import hdrs, web

from gateway.web.dicomweb.context import CONTEXT, DicomWebContext, base_uri
from gateway.web.dicomweb.performed_steps import STEPS, create_or_update, retrieve, update
from gateway.web.dicomweb.representations import PAYLOADS, preferred
from gateway.web.dicomweb.scheduled_steps import search_steps
from gateway.web.dicomweb.storage_commitment import REQUESTS, check_result, request_commitment
from gateway.web.dicomweb.storing.transaction import REQUEST_TYPES, store
from gateway.web.dicomweb.studies_transactions import OF_STUDIES, STUDY
from gateway.web.dicomweb.study_addresses import STUDIES
from gateway.web.dicomweb.transaction import ACCEPT, ALWAYS, Transaction
from gateway.wire.dicomweb import capabilities, search
from gateway.wire.dicomweb.capabilities import Method, Resource
from gateway.wire.dicomweb.media_types import CAPABILITIES, JSON, ONE_RESULT, PLAIN_JSON, RESULTS, XML

ROLE: Final = "origin server"
_WRITE: Final = (409, 413, 415)
_STEP: Final = f"{STEPS}/{{uid}}"
_COMMITMENT: Final = f"{REQUESTS}/{{uid}}"

OF_READERS: Final = web.AppKey("of_readers", set[web.AbstractRoute])
"""Routes of studies, which are for those who may look at the console."""


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
               response_types=tuple(map(str, CAPABILITIES)), statuses=(200, *ALWAYS)),
        _capabilities,
        also=("", "/modality-scheduled-procedure-steps", _STEP, STUDIES),
    ),
    Transaction(
        "/modality-scheduled-procedure-steps",
        Method("Search", "14.4", hdrs.METH_GET, query=(*search.PARAMETERS, "accept", "charset"), headers=ACCEPT,
               response_types=tuple(map(str, RESULTS)), statuses=(200, 204, *ALWAYS)),
        search_steps,
    ),
    Transaction(
        _STEP,
        Method("Create", "15.4", hdrs.METH_POST, headers=(hdrs.CONTENT_TYPE,), request_types=PAYLOADS,
               statuses=(201, *ALWAYS, *_WRITE)),
        create_or_update,
    ),
    Transaction(
        _STEP,
        Method("Update", "15.5", hdrs.METH_POST, query=("update",), headers=(hdrs.CONTENT_TYPE,),
               request_types=PAYLOADS, statuses=(200, *ALWAYS, 404, *_WRITE)),
        create_or_update,
    ),
    Transaction(
        _STEP,
        Method("Retrieve", "15.6", hdrs.METH_GET, query=(search.INCLUDE, "accept", "charset"), headers=ACCEPT,
               response_types=(JSON, PLAIN_JSON, XML), statuses=(200, *ALWAYS, 404)),
        retrieve,
    ),
    Transaction(
        _COMMITMENT,
        Method("Request", "13.4", hdrs.METH_POST, headers=(hdrs.CONTENT_TYPE,), request_types=PAYLOADS,
               statuses=(202, *ALWAYS, *_WRITE)),
        request_commitment,
        of_pixels=True,
    ),
    Transaction(
        _COMMITMENT,
        Method("ResultCheck", "13.5", hdrs.METH_GET, query=("accept", "charset"), headers=ACCEPT,
               response_types=(JSON, PLAIN_JSON, XML), statuses=(200, 202, *ALWAYS, 404)),
        check_result,
        of_pixels=True,
    ),
    *(
        Transaction(
            path,
            Method("Store", "10.5", hdrs.METH_POST, query=("accept",), headers=(hdrs.CONTENT_TYPE, hdrs.ACCEPT),
                   request_types=REQUEST_TYPES, response_types=tuple(map(str, ONE_RESULT)),
                   statuses=(200, 202, *ALWAYS, *_WRITE)),
            store,
            of_storing=True,
        )
        for path in (STUDIES, STUDY)
    ),
    *OF_STUDIES,
)  # fmt: skip


def _routed(context: DicomWebContext) -> list[Transaction]:
    return [one for one in TRANSACTIONS if (one.of_studies and context.studies is not None) or _is_served(one, context)]


def _is_served(transaction: Transaction, context: DicomWebContext) -> bool:
    wanted = (
        (transaction.of_pixels, context.commitment),
        (transaction.of_storing, context.storing),
        (transaction.of_studies, context.studies),
    )
    return all(held is not None for is_needed, held in wanted if is_needed)


def _resources(context: DicomWebContext) -> Iterator[Resource]:
    served = [one for one in TRANSACTIONS if _is_served(one, context)]
    for path in dict.fromkeys(one.path for one in served):
        yield Resource(path, [one.method for one in served if one.path == path])


def add_routes(application: web.Application) -> None:
    """Every path with and without a slash at its end, as the examples of the standard have both (PS3.18 B.36)."""
    application[OF_READERS] = set()
    routes = {
        (transaction.method.http_method, path): (transaction.handler, transaction.of_studies)
        for transaction in _routed(application[CONTEXT])
        for written in (transaction.path, *transaction.also)
        for path in {written, written.removesuffix("/"), f"{written.removesuffix('/')}/"}
    }
    # The path segment of examples B.38 and B.39, where the text has `?update` (15.5.1).
    routes |= {(hdrs.METH_POST, f"{_STEP}/update{end}"): (update, False) for end in ("", "/")}
    for (method, path), (handler, is_of_readers) in routes.items():
        route = application.router.add_route(method, path, handler)
        if is_of_readers:
            application[OF_READERS].add(route)
