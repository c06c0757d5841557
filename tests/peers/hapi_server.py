"""HAPI FHIR JPA server, R4 or R5, with its defaults (`hapi/`, Java); `make java-peers` builds it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.peers.fhir_server import FhirServer

FOLDER = Path(__file__).parent / "hapi"


class HapiServer(FhirServer):
    """A HAPI FHIR server that holds nothing yet."""

    async def resources(self, resource_type: str, **criteria: str) -> list[dict[str, Any]]:
        """What a search finds now: past the cache of searches, over all pages."""
        found: list[dict[str, Any]] = []
        address: str | None = f"{self.url}/{resource_type}"
        parameters: dict[str, str] | None = {"_count": "200", **criteria}
        async with aiohttp.ClientSession(raise_for_status=True, headers={"Cache-Control": "no-cache"}) as session:
            while address is not None:
                async with session.get(address, params=parameters) as response:
                    bundle = await response.json(content_type="application/fhir+json")
                found += [entry["resource"] for entry in bundle.get("entry", [])]
                links = {link["relation"]: link["url"] for link in bundle.get("link", [])}
                address, parameters = links.get("next"), None
        return found


@asynccontextmanager
async def hapi_server(release: str = "R4", *, validates: bool = False) -> AsyncIterator[HapiServer]:
    """A HAPI server in memory, with HAPI's own defaults; `validates`: it refuses what HL7's validator finds wrong."""
    if not (FOLDER / "cp.txt").is_file() or shutil.which("java") is None:
        pytest.skip("the HAPI FHIR server is not built; run: make java-peers")
    classes = f"target/classes:{(FOLDER / 'cp.txt').read_text().strip()}"
    options = [f"-Dfhir={release}", "-Dport=0", f"-Dvalidate={str(validates).lower()}"]
    process = await asyncio.create_subprocess_exec(
        "java", "-Xmx1500m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *options, "-cp", classes, "peer.Main",
        cwd=FOLDER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    drain = None
    try:
        async with asyncio.timeout(180):
            while not (line := await process.stdout.readline()).startswith(b"ready "):
                assert line, f"the HAPI FHIR server ended before it was ready (exit code {process.returncode})"
        drain = asyncio.create_task(_drain(process.stdout))
        yield HapiServer(line.decode().split()[1])
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        if drain is not None:
            await drain


async def _drain(lines: asyncio.StreamReader) -> None:
    """Read what the server prints of each request, or it would wait for its reader."""
    while await lines.read(65536):
        pass
