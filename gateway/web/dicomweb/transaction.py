"""A transaction of DICOMweb, as a row of a table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web

from gateway.wire.dicomweb.capabilities import Method

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ALWAYS: Final = (400, 401, 403, 406, 503)
"""Failures of every transaction."""
ACCEPT: Final = (hdrs.ACCEPT, hdrs.ACCEPT_CHARSET)


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction of a resource. `also`: paths at which it is served besides, for clients that write them so;
    `of_pixels`: it is served where instances are kept with their pixels; `of_storing`: where they are taken;
    `of_studies`: where studies are served, and to those who may look at the console, not to scanners."""

    path: str
    method: Method
    handler: Handler
    also: Sequence[str] = ()
    of_pixels: bool = False
    of_storing: bool = False
    of_studies: bool = False
