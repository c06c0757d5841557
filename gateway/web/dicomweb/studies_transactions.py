"""Searches and retrieval of the Studies Service (PS3.18 chapter 10), as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from aiohttp import hdrs

from gateway.web.dicomweb.studies_metadata import retrieve_metadata
from gateway.web.dicomweb.studies_retrieve import retrieve_instances
from gateway.web.dicomweb.studies_search import search_instances, search_series, search_studies
from gateway.web.dicomweb.study_addresses import STUDIES, address_of
from gateway.web.dicomweb.transaction import ACCEPT, ALWAYS, Handler, Transaction
from gateway.wire.dicomweb import search
from gateway.wire.dicomweb.capabilities import Method
from gateway.wire.dicomweb.media_types import INSTANCES, METADATA, ONE_INSTANCE, RESULTS, MediaType

STUDY: Final = address_of(STUDIES, "{study}")
_SERIES: Final = address_of(STUDIES, "{study}", "{series}")
_INSTANCE: Final = address_of(STUDIES, "{study}", "{series}", "{instance}")
_SEARCHES: Final[dict[str, Handler]] = {
    STUDIES: search_studies,
    f"{STUDY}/series": search_series,
    f"{STUDY}/instances": search_instances,
    f"{_SERIES}/instances": search_instances,
    "/series": search_series,
    "/instances": search_instances,
}
_RETRIEVED: Final = {STUDY: INSTANCES, _SERIES: INSTANCES, _INSTANCE: ONE_INSTANCE}


def _names(types: tuple[MediaType, ...]) -> tuple[str, ...]:
    return tuple(map(str, types))


def _transactions() -> Iterator[Transaction]:
    query = ("accept", "charset")
    for path, handler in _SEARCHES.items():
        method = Method("Search", "10.6", hdrs.METH_GET, query=(*search.PARAMETERS, *query), headers=ACCEPT,
                        response_types=_names(RESULTS), statuses=(200, 204, *ALWAYS, 413))  # fmt: skip
        yield Transaction(path, method, handler, of_studies=True)
    for path, types in _RETRIEVED.items():
        method = Method("Retrieve", "10.4", hdrs.METH_GET, query=("accept",), headers=(hdrs.ACCEPT,),
                        response_types=_names(types), statuses=(200, *ALWAYS, 404, 410))  # fmt: skip
        yield Transaction(path, method, retrieve_instances, of_studies=True, of_pixels=True)
        method = Method("RetrieveMetadata", "10.4", hdrs.METH_GET, query=query, headers=ACCEPT,
                        response_types=_names(METADATA), statuses=(200, *ALWAYS, 404, 410))  # fmt: skip
        yield Transaction(f"{path}/metadata", method, retrieve_metadata, of_studies=True)


OF_STUDIES: Final = tuple(_transactions())
