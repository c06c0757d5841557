"""A proxy in front of a FHIR server that holds requests, or their answers, until a test lets them through.

Who waits behind it is in the state of a process that was paused at that point.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Literal

from aiohttp import ClientSession, web
from yarl import URL

Moment = Literal["before", "after", ""]
"""Where a request is held: before it reaches the server, or its answer on the way back."""
_KEPT: Final = ("Content-Type", "ETag", "Location")
_HOP_BY_HOP: Final = ("Host", "Content-Length", "Accept-Encoding")


class HoldingProxy:
    """`moment_of` says of a request (method, target, body) what of it is held, '' for nothing."""

    def __init__(self, target: str, moment_of: Callable[[str, str, str], Moment]) -> None:
        self.url = ""
        self.held: list[str] = []
        """Targets of what is, or was, held."""
        self.passed: list[str] = []
        """Targets of requests that were held and have reached the server."""
        self.let_go = asyncio.Event()
        self._target = target
        self._moment_of = moment_of
        self._session: ClientSession | None = None
        self._forwarding: set[asyncio.Task[web.Response]] = set()

    async def forward(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        moment = self._moment_of(request.method, request.path_qs, body.decode())
        # What the sender no longer waits for comes through all the same.
        forwarding = asyncio.create_task(self._forward(request.method, request.raw_path, body, request.headers, moment))
        self._forwarding.add(forwarding)
        forwarding.add_done_callback(self._forwarding.discard)
        return await asyncio.shield(forwarding)

    async def _forward(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], moment: Moment
    ) -> web.Response:
        assert self._session is not None
        if moment == "before":
            await self._hold(f"{method} {path}")
        sent = {key: one for key, one in headers.items() if key not in _HOP_BY_HOP}
        address = URL(f"{self._target}{path}", encoded=True)
        async with self._session.request(method, address, data=body or None, headers=sent) as answer:
            kept = {key: one for key, one in answer.headers.items() if key in _KEPT}
            response = web.Response(status=answer.status, body=await answer.read(), headers=kept)
        if moment == "after":
            await self._hold(f"{method} {path}")
        if moment:
            self.passed.append(f"{method} {path}")
        return response

    async def _hold(self, target: str) -> None:
        self.held.append(target)
        await self.let_go.wait()


@asynccontextmanager
async def holding(target: str, moment_of: Callable[[str, str, str], Moment]) -> AsyncIterator[HoldingProxy]:
    """A proxy that serves in front of `target`; what it still holds at the end goes through then."""
    proxy = HoldingProxy(target, moment_of)
    page = web.Application(client_max_size=2**26)
    page.router.add_route("*", "/{path:.*}", proxy.forward)
    runner = web.AppRunner(page, access_log=None, shutdown_timeout=0.5)
    async with ClientSession() as proxy._session:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield proxy
        finally:
            proxy.let_go.set()
            await asyncio.gather(*proxy._forwarding, return_exceptions=True)
            await runner.cleanup()
