"""fhir-kit-client: a FHIR client in Node (`fhirkit/client.mjs`), as an EHR that reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
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
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def _call(self, call: str, **asked: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": call, **asked}).encode() + b"\n")
        async with asyncio.timeout(30):
            line = await self._process.stdout.readline()
        assert line, "fhir-kit-client ended"
        said = json.loads(line)
        if "status" in said:
            raise FhirkitError(said["status"], said["outcome"])
        return said["answer"]

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


@asynccontextmanager
async def fhirkit(base: str, token: str = "") -> AsyncIterator[Fhirkit]:
    node = found("node", "apt-get install -y nodejs npm  (version 20.19 or later), then make peers")
    if not (_PROGRAM.parent / "node_modules").is_dir():
        missing("fhir-kit-client", "make peers")
    process = await asyncio.create_subprocess_exec(
        node, _PROGRAM, base, token, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**26
    )
    try:
        yield Fhirkit(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
