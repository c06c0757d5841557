"""fhir-kit-client: a FHIR client in Node (`fhirkit/client.mjs`), as an EHR that reads."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tests.peers.process import found, missing

_PROGRAM = Path(__file__).parent / "fhirkit" / "client.mjs"


class FhirkitError(Exception):
    def __init__(self, status: int, outcome: Any) -> None:
        super().__init__(f"{status}: {outcome}")
        self.status = status
        self.outcome = outcome


class Fhirkit:
    """Reads from `base`. All share one process of Node: to start one takes half a second of CPU."""

    def __init__(self, base: str, token: str) -> None:
        self._base = base
        self._token = token

    async def _call(self, call: str, **asked: Any) -> Any:
        process = _process()
        request = json.dumps({"base": self._base, "token": self._token, "call": call, **asked}).encode() + b"\n"
        try:
            async with asyncio.timeout(120):
                line = await asyncio.to_thread(_exchange, process, request)
        except BaseException:
            # Its answer would be taken for that to the next request.
            process.kill()
            _process.cache_clear()
            raise
        assert line, "fhir-kit-client ended"
        answered = json.loads(line)
        if "status" in answered:
            raise FhirkitError(answered["status"], answered["outcome"])
        return answered["answer"]

    async def metadata(self) -> Any:
        return await self._call("metadata")

    async def read(self, type: str, id: str) -> Any:
        return await self._call("read", type=type, id=id)

    async def delete(self, type: str, id: str) -> Any:
        return await self._call("delete", type=type, id=id)

    async def search(
        self,
        parameters: Mapping[str, str] | None = None,
        *,
        post: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The first page."""
        return await self._call("search", parameters=parameters or {}, post=post, headers=headers or {})

    async def next_page(self, bundle: Any) -> Any:
        """The page that the link `next` of `bundle` leads to, None if it has none."""
        return await self._call("next", bundle=bundle)


@cache
def _process() -> subprocess.Popen[bytes]:
    """It ends when its standard input does, with the process of the tests."""
    node = found("node", "apt-get install -y nodejs npm  (version 20.19 or later), then make peers")
    if not (_PROGRAM.parent / "node_modules").is_dir():
        missing("fhir-kit-client", "make peers")
    return subprocess.Popen([node, _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _exchange(process: subprocess.Popen[bytes], request: bytes) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(request)
    process.stdin.flush()
    return process.stdout.readline()


@asynccontextmanager
async def fhirkit(base: str, token: str = "") -> AsyncIterator[Fhirkit]:
    await asyncio.to_thread(_process)
    yield Fhirkit(base, token)
