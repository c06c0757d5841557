"""Errors as answers of DICOMweb (PS3.18 8.5, Tables 10.4.3-1, 10.6.3-1, 14.4.3-1, 15.4.3-1, 15.5.3-1, 15.6.3-1)."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from gateway.errors import (
    Conflict,
    DuplicateKey,
    GatewayError,
    Gone,
    Rejected,
    TooLarge,
    Unavailable,
    UnknownKey,
    UnsupportedType,
)
from gateway.operations.people.refusals import TooManyTries
from gateway.web.failures import NotAcceptable, Statuses, failures

STATUSES: Final[Statuses] = (
    (NotAcceptable, 406),
    (TooManyTries, 429),
    (UnsupportedType, 415),
    (TooLarge, 413),
    (Gone, 410),
    (UnknownKey, 404),
    (DuplicateKey, 409),
    (Conflict, 409),
    (Unavailable, 503),
    (Rejected, 400),
    (GatewayError, 500),
)
"""Error -> HTTP status; the first row that fits counts."""
_TEXTS: Final = {
    404: "there is nothing at this path; OPTIONS of the base URI lists what there is",
    405: "this method is not served at this path",
}


def _report(message: str, place: str, status: int) -> web.Response:
    """A Status Report (8.6.3): text, which every client can show."""
    return web.Response(text=f"{place}: {message}" if place else message, status=status)


failures_as_reports: Final[Middleware] = failures(_report, _TEXTS, STATUSES)
