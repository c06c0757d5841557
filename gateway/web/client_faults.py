"""What aiohttp logs of requests that are no HTTP."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError


class ClientFaults(logging.LoggerAdapter[logging.Logger]):
    """To aiohttp a request that it cannot read is an error with a traceback, which quotes the request. Here it is the
    client's fault, and a line without values."""

    def exception(self, msg: object, *args: object, exc_info: Any = True, **more: Any) -> None:
        if isinstance(exc_info, HttpProcessingError | web.RequestPayloadError):
            self.warning("an HTTP request cannot be read: %s", type(exc_info).__name__)
        else:
            super().exception(msg, *args, exc_info=exc_info, **more)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, kwargs


def server_log() -> ClientFaults:
    return ClientFaults(logging.getLogger("aiohttp.server"), {})
