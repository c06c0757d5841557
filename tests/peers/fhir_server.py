"""A real FHIR R4 server: Medplum's router over its memory repository, in Node (`ehr/server.mjs`)."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.peers.process import end, found, missing

_PROGRAM = Path(__file__).parent / "ehr" / "server.mjs"
_tenants = itertools.count(1)


@dataclass(frozen=True)
class FhirServer:
    """An EHR of its own for each test."""

    url: str
    """The FHIR base address, without a trailing slash."""

    async def resources(self, resource_type: str, **criteria: str) -> list[dict[str, Any]]:
        """What a search finds; without criteria: everything of the type."""
        address = f"{self.url}/{resource_type}"
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.get(address, params={"_count": "1000", **criteria}) as response,
        ):
            bundle = await response.json(content_type="application/fhir+json")
        return [entry["resource"] for entry in bundle.get("entry", [])]

    async def create(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Put a resource into it, as if a clinician had."""
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.post(f"{self.url}/{resource['resourceType']}", json=resource) as response,
        ):
            created: dict[str, Any] = await response.json(content_type="application/fhir+json")
        return created


@pytest.fixture(scope="session")
def fhir_process() -> Iterator[str]:
    """The address of the process in which all tests have their servers."""
    node = found("node", "apt-get install -y nodejs npm  (version 20.19 or later), then make peers")
    if not (_PROGRAM.parent / "node_modules").is_dir():
        missing("the FHIR server", "make peers")
    # It ends when its standard input does, even if this process is killed.
    process = subprocess.Popen([node, _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = process.stdout.readline().decode()
    if "listening on " not in said:
        end(process)
        pytest.fail(f"the FHIR server ended before it was ready (exit code {process.returncode})", pytrace=False)
    yield said.split("listening on ")[1].strip()
    end(process)


@pytest.fixture
def fhir_server(fhir_process: str) -> FhirServer:
    """A real FHIR R4 server that holds nothing yet."""
    return FhirServer(f"{fhir_process}/test{next(_tenants)}")


@pytest.fixture
def plain_fhir_server(fhir_process: str) -> FhirServer:
    """The same without conditional operations, bundles and ids of clients."""
    return FhirServer(f"{fhir_process}/plain-test{next(_tenants)}")
