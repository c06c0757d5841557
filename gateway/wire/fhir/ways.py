"""Which way of writing suits a server, by what it announces and by what it refuses."""

from __future__ import annotations

import asyncio
import uuid

from gateway.errors import NeedsPerson
from gateway.wire.fhir.answer import Refused, Resource
from gateway.wire.fhir.capability import Capabilities, Way, capabilities_of
from gateway.wire.fhir.client import FhirClient


class Ways:
    """The ways of one server; `configured` None: what its CapabilityStatement allows."""

    def __init__(self, client: FhirClient, configured: Way | None) -> None:
        self.configured = configured
        self._client = client
        self._probes: dict[str, asyncio.Future[Capabilities]] = {}
        self._unsupported: dict[str, set[Way]] = {}

    async def capabilities(self, kind: str) -> Capabilities:
        """What the server announces for `kind`, asked once. Raises `Unavailable` while it cannot be asked,
        `NeedsPerson` when it does not say, or when its search by identifier finds what was not asked for."""
        probe = self._probes.get(kind)
        if probe is None or (probe.done() and (probe.cancelled() or probe.exception() is not None)):
            probe = self._probes[kind] = asyncio.ensure_future(self._probe(kind))
        return await asyncio.shield(probe)

    async def way(self, kind: str) -> Way:
        """How resources of `kind` are brought to the server. Raises what `capabilities` raises."""
        known = await self.capabilities(kind)
        if self.configured is not None:
            return self.configured
        return next(way for way in known.ways if way not in self._unsupported.get(kind, ()))

    def leave(self, kind: str, way: Way) -> bool:
        """Use `way` no longer: the server announces and refuses it. False where no other may take its place."""
        if self.configured is not None or way is Way.SEARCH:
            return False
        self._unsupported.setdefault(kind, set()).add(way)
        return True

    async def _probe(self, kind: str) -> Capabilities:
        statement: Resource = {}
        try:
            statement = await self._client.capabilities()
        except Refused as error:
            if self.configured is None:
                raise NeedsPerson(
                    f"the server does not tell what it can do ({error.message}): check 'url' of this EHR; if it has no "
                    "/metadata, set 'write'",
                    place=error.place,
                ) from error
        # Nothing has this identifier. A server that finds something all the same does not look at identifiers.
        await self._client.find(kind, f"urn:ietf:rfc:3986|urn:uuid:{uuid.uuid4()}")
        return capabilities_of(statement, kind)
