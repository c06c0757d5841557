"""Answers that are sent while they are made: a failure amid one cuts the connection, so that no part passes for all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def sending(request: web.Request, response: web.StreamResponse) -> AsyncIterator[None]:
    """Begin an answer, and end it when all was written."""
    await response.prepare(request)
    try:
        yield
        await response.write_eof()
    except BaseException:
        if request.transport is not None:
            request.transport.abort()
        raise
