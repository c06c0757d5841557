"""The five ways to bring a resource to a server that does not hold it yet."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

from gateway.errors import Unavailable
from gateway.wire.fhir.answer import Answer, Contested, NotSupported, Refused, Resource
from gateway.wire.fhir.capability import Way
from gateway.wire.fhir.client import FhirClient
from gateway.wire.fhir.duplicates import Singles
from gateway.wire.fhir.encoding import escape
from gateway.wire.fhir.ways import Ways
from gateway.wire.fhir.write import AlreadyThere, ResourceWrite, id_for


class Creation:
    """Makes resources on one server, so that none is there twice."""

    def __init__(self, client: FhirClient, ways: Ways, singles: Singles, *, timeout_seconds: float) -> None:
        self._client = client
        self._ways = ways
        self._singles = singles
        self._timeout = timeout_seconds
        self._by: dict[Way, Callable[[ResourceWrite], Awaitable[Answer]]] = {
            Way.CLIENT_ID: self._create_by_id,
            Way.CONDITIONAL_UPDATE: self._create_by_identifier,
            Way.CONDITIONAL_CREATE: self._create_unless,
            Way.TRANSACTION: self._create_in_transaction,
            Way.SEARCH: self._create_after_search,
        }

    async def create(self, write: ResourceWrite) -> Answer:
        """The answer to a write that makes the resource.

        Raises `AlreadyThere`, `Contested` where another write of the resource was met, `NeedsPerson`, `Unavailable`.
        """
        kind, identifier = write.kind, write.identifier
        way = await self._ways.way(kind)
        try:
            answer = await self._by[way](write)
        except NotSupported as error:
            if not self._ways.leave(kind, way):
                raise
            # Capability statements promise more than servers do.
            raise Unavailable(f"the server announces {way.value} and refuses it: {error.message}") from error
        except Refused as error:
            # Of several resources with this identifier some servers speak in a 400 (SeveralMatch is a 412).
            held = await self._client.find(kind, identifier)
            if len(held) < 2:
                raise
            await self._singles.only(kind, identifier, held, write.standing.confirm)
            raise Contested("several resources had this identifier; one is left", place=error.place) from error
        if answer.status == 200 and way is Way.CONDITIONAL_CREATE:
            raise AlreadyThere(answer.id, place=f"{self._client.base}/{kind}")
        return answer

    async def _create_by_id(self, write: ResourceWrite) -> Answer:
        # A server that counts what was deleted as being there would refuse for ever, so the condition is named once.
        answer = await self._client.put(
            {**write.resource, "id": id_for(write.identifier)},
            is_new=not write.may_be_there,
            confirm=write.standing.confirm,
        )
        return await self._alone(write, answer)

    async def _create_by_identifier(self, write: ResourceWrite) -> Answer:
        return await self._client.put_by_identifier(write.resource, write.identifier, confirm=write.standing.confirm)

    async def _create_unless(self, write: ResourceWrite) -> Answer:
        return await self._client.create(write.resource, unless=write.identifier, confirm=write.standing.confirm)

    async def _create_in_transaction(self, write: ResourceWrite) -> Answer:
        url = f"{write.kind}?identifier={escape(write.identifier)}"
        return await in_transaction(self._client, write, write.resource, {"method": "PUT", "url": url})

    async def _create_after_search(self, write: ResourceWrite) -> Answer:
        try:
            answer = await self._client.create(
                write.resource, identifier=write.identifier, confirm=write.standing.confirm
            )
        except Unavailable as error:
            # It may still be under way over there, and nothing guards against a second one.
            error.retry_after = max(error.retry_after or 0.0, self._timeout)
            raise
        return await self._alone(write, answer)

    async def _alone(self, write: ResourceWrite, answer: Answer) -> Answer:
        """`answer`, once a search after the write has shown that no other writer created it at the same time."""
        found = await self._client.find(write.kind, write.identifier)
        held = await self._singles.only(write.kind, write.identifier, found, write.standing.confirm)
        if held is not None and str(held["id"]) != answer.id:
            raise Contested("another writer created it at the same time", place=f"{self._client.base}/{write.kind}")
        return answer


async def in_transaction(client: FhirClient, write: ResourceWrite, resource: Resource, request: Resource) -> Answer:
    """The answer to a write that is the only entry of a transaction."""
    entry = {"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": resource, "request": request}
    [answer] = await client.transaction([entry], confirm=write.standing.confirm)
    return answer
