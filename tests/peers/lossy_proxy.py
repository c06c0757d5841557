"""A proxy in front of a FHIR server that loses requests and answers, and whose server can be changed for another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientSession, web
from yarl import URL


class LossyProxy:
    """Every `before`-th write is lost on its way to the server, every `after`-th answer on its way back."""

    def __init__(self, target: str, *, before: int, after: int) -> None:
        self.target = target
        self.url = ""
        self.lost = {"before": 0, "after": 0}
        self._every = {"before": before, "after": after}
        self._writes = 0
        self._session: ClientSession | None = None

    async def forward(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        self._writes += request.method in ("POST", "PUT")
        losses = [what for what, every in self._every.items() if request.method != "GET" and self._writes % every == 0]
        if "before" not in losses:
            headers = {key: one for key, one in request.headers.items() if key not in ("Host", "Content-Length")}
            address = URL(f"{self.target}{request.raw_path}", encoded=True)
            async with self._session.request(
                request.method, address, data=await request.read() or None, headers=headers
            ) as answer:
                content = await answer.read()
                if not losses:
                    names = ("Content-Type", "ETag", "Location", "Retry-After")
                    kept = {key: one for key, one in answer.headers.items() if key in names}
                    return web.Response(status=answer.status, body=content, headers=kept)
        self.lost[losses[0]] += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


@asynccontextmanager
async def lossy_proxy(target: str, *, before: int = 11, after: int = 7) -> AsyncIterator[LossyProxy]:
    """A proxy on a free port of the loopback address in front of `target`, a FHIR base address."""
    proxy = LossyProxy(target, before=before, after=after)
    page = web.Application(client_max_size=64 * 1024 * 1024)
    page.router.add_route("*", "/{path:.*}", proxy.forward)
    runner = web.AppRunner(page, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with ClientSession() as session:
            proxy._session = session
            yield proxy
    finally:
        await runner.cleanup()
