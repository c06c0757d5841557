"""Brings a resource that is known by an identifier to a server, once, whatever happens on the way.

A resource is *created* by the way that suits the server (`Way`) and, once its id is known, *updated* by that id: only
after a read has shown that what stands there has the resource's identifier, and only where the version is still the one
that was read. A server that has lost data gives ids again, and a remembered id and version may be another patient's. A
try that may have reached the server is never repeated before the server was asked what it holds.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gateway.errors import NeedsPerson, Unavailable
from gateway.wire.fhir.answer import Answer, Contested, Gone, NotSupported, Refused, Resource, carries, version_of
from gateway.wire.fhir.capability import Capabilities, Way, capabilities_of
from gateway.wire.fhir.client import FhirClient
from gateway.wire.fhir.encoding import escape
from gateway.wire.fhir.sameness import says_the_same

ROUNDS: Final = 4
"""How often a write is applied again to what another writer made of the resource meanwhile."""


@dataclass(frozen=True, slots=True)
class Written:
    """The server holds the resource as we sent it."""

    status: int
    id: str
    version: str
    note: str = ""
    """What was remarkable, in plain words; '' for a plain write."""


class Duplicates(NeedsPerson):
    """The server holds several resources where there must be one; `details` has their ids."""

    def __init__(self, message: str, *, place: str, ids: Sequence[str]) -> None:
        super().__init__(message, place=place)
        self.details = {"duplicates": list(ids)}


class Replaced(Unavailable):
    """Under the id that was remembered stands a resource without our identifier: the server lost ours."""


class AlreadyThere(Contested):
    """A conditional create met a resource: another writer's, or ours whose answer was lost. It was not written."""

    def __init__(self, id: str, *, place: str) -> None:
        super().__init__("a resource with this identifier was there already", place=place)
        self.id = id


class FhirWriter:
    """Writes resources to one server.

    `way` None: what the server's CapabilityStatement allows. `duplicates`: whether resources with one identifier are
    reported or all but one are deleted. `when_deleted`: what to do when a resource of ours was deleted over there.
    """

    def __init__(
        self,
        client: FhirClient,
        *,
        way: Way | None = None,
        duplicates: Literal["report", "remove"] = "report",
        when_deleted: Literal["stop", "recreate"] = "stop",
        timeout_seconds: float = 30.0,
    ) -> None:
        self.client = client
        self._configured = way
        self._duplicates = duplicates
        self._when_deleted = when_deleted
        self._timeout = timeout_seconds
        self._probes: dict[str, asyncio.Future[Capabilities]] = {}
        self._unsupported: dict[str, set[Way]] = {}
        self._creating: dict[Way, Callable[[Resource, str], Awaitable[Answer]]] = {
            Way.CLIENT_ID: self._create_by_id,
            Way.CONDITIONAL_UPDATE: client.put_by_identifier,
            Way.CONDITIONAL_CREATE: self._create_unless,
            Way.TRANSACTION: self._create_in_transaction,
            Way.SEARCH: self._create_after_search,
        }

    async def write(
        self, resource: Resource, identifier: str, *, known: str | None = None, unsure: bool = False
    ) -> Written:
        """Let the server hold `resource`, which carries `identifier` (`system|value`).

        `known`: the id that is remembered. `unsure`: an earlier try may have reached the server, so it is asked first.
        Raises `Unavailable` for what may pass, `NeedsPerson` for the rest: `Refused`, duplicates, a deletion.
        """
        note = ""
        for _ in range(ROUNDS):
            try:
                held = await self._find(resource, identifier, known, unsure=unsure)
                if held is None:
                    answer = await self._create(resource, identifier)
                    return Written(answer.status, answer.id, answer.version, note)
                known = str(held["id"])
                if says_the_same(resource, held):
                    return Written(200, known, version_of(held), "; ".join(filter(None, (note, "already there"))))
                answer = await self._update({**resource, "id": known}, version_of(held))
                return Written(answer.status, answer.id, answer.version, note)
            except Replaced as error:
                note, known, unsure = error.message, None, True
            except AlreadyThere as error:
                known = error.id
            except Gone as error:
                self._deleted(resource, identifier, known, error)
                known, unsure = None, True
            except Contested:
                # What stands there now may be our own write whose answer was lost.
                unsure = True
                await asyncio.sleep(random.uniform(0.0, 0.2))
        raise Contested(
            f"the resource keeps being changed by another writer; given up after {ROUNDS} rounds",
            place=f"{self.client.base}/{resource['resourceType']}",
        )

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
        if self._configured is not None:
            return self._configured
        return next(way for way in known.ways if way not in self._unsupported.get(kind, ()))

    async def _probe(self, kind: str) -> Capabilities:
        statement: Resource = {}
        try:
            statement = await self.client.capabilities()
        except Refused as error:
            if self._configured is None:
                raise NeedsPerson(
                    f"the server does not tell what it can do ({error.message}): check 'url' of this EHR; if it has no "
                    "/metadata, set 'write'",
                    place=error.place,
                ) from error
        # Nothing has this identifier. A server that finds something all the same does not look at identifiers.
        await self.client.find(kind, f"urn:ietf:rfc:3986|urn:uuid:{uuid.uuid4()}")
        return capabilities_of(statement, kind)

    async def _find(self, resource: Resource, identifier: str, known: str | None, *, unsure: bool) -> Resource | None:
        """The server's resource with `identifier`; None: there is none, or the way of creating looks by itself.

        Raises `Gone` and `Replaced` for an id that is remembered and leads to nothing, or to another resource.
        """
        kind = str(resource["resourceType"])
        if known is not None:
            return await self._read(kind, identifier, known)
        way = await self.way(kind)
        if not unsure and way not in _SEARCHING:
            return None
        held = await self.client.find(kind, identifier)
        ours = await self.client.read(kind, id_for(identifier)) if way is Way.CLIENT_ID and unsure else None
        if ours is not None and carries(ours, identifier):
            # A search may lag behind what was committed; a read does not.
            held = [ours, *(one for one in held if one.get("id") != ours.get("id"))]
        return await self._only(kind, identifier, held)

    async def _only(self, kind: str, identifier: str, held: Sequence[Resource]) -> Resource | None:
        """The one of `held`; raises `NeedsPerson` for several, unless all but the oldest may be removed."""
        if len(held) < 2:
            return held[0] if held else None
        ids = [str(one.get("id")) for one in held]
        place = f"{self.client.base}/{kind}"
        stated = f"the server holds {len(held)} resources with the identifier {identifier}: {', '.join(ids)}"
        if self._duplicates == "report":
            cure = "remove all but one there, or let the gateway do it (duplicates: remove)"
            raise Duplicates(f"{stated}; {cure}", place=place, ids=ids)
        kept, *others = sorted(held, key=lambda one: (str((one.get("meta") or {}).get("lastUpdated")), str(one["id"])))
        for other in others:
            try:
                await self.client.delete(kind, str(other["id"]))
            except Refused as error:
                why = f"{stated}, and does not let us remove {other['id']}: {error.message}"
                raise Duplicates(why, place=place, ids=ids) from error
        return kept

    async def _read(self, kind: str, identifier: str, known: str) -> Resource:
        held = await self.client.read(kind, known)
        place = f"{self.client.base}/{kind}/{known}"
        if held is None:
            raise Gone("it was deleted", place=place, details={})
        if not carries(held, identifier):
            raise Replaced(f"the server has given {kind}/{known} to another resource since", place=place)
        return held

    def _deleted(self, resource: Resource, identifier: str, known: str | None, error: Gone) -> None:
        if known is None:
            # Not a resource that is gone: the address as a whole leads nowhere.
            raise error
        if self._when_deleted == "stop":
            raise NeedsPerson(
                f"{resource['resourceType']}/{known} ({identifier}) was deleted on the server; set "
                "when_deleted: recreate if it is to be made anew",
                place=error.place,
            ) from error

    async def _update(self, resource: Resource, version: str) -> Answer:
        if self._configured is not Way.TRANSACTION:
            return await self._put(resource, version)
        request = {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
        return await self._in_transaction(resource, request | ({"ifMatch": f'W/"{version}"'} if version else {}))

    async def _put(self, resource: Resource, version: str) -> Answer:
        try:
            return await self.client.put(resource, version=version)
        except Gone:
            raise
        except Refused as error:
            # Some say 400 to an update of what was deleted since the read.
            if await self.client.read(str(resource["resourceType"]), str(resource["id"])) is None:
                raise Gone(error.message, place=str(error.place), details=error.details) from error
            raise

    # Ways to create

    async def _create(self, resource: Resource, identifier: str) -> Answer:
        kind = str(resource["resourceType"])
        way = await self.way(kind)
        try:
            answer = await self._creating[way](resource, identifier)
        except NotSupported as error:
            if self._configured is not None or way is Way.SEARCH:
                raise
            # Capability statements promise more than servers do.
            self._unsupported.setdefault(kind, set()).add(way)
            raise Unavailable(f"the server announces {way.value} and refuses it: {error.message}") from error
        except Refused as error:
            # Of several resources with this identifier some servers speak in a 400 (SeveralMatch is a 412).
            held = await self.client.find(kind, identifier)
            if len(held) < 2:
                raise
            await self._only(kind, identifier, held)
            raise Contested("several resources had this identifier; one is left", place=error.place) from error
        if answer.status == 200 and way is Way.CONDITIONAL_CREATE:
            raise AlreadyThere(answer.id, place=f"{self.client.base}/{kind}")
        return answer

    async def _create_by_id(self, resource: Resource, identifier: str) -> Answer:
        answer = await self.client.put({**resource, "id": id_for(identifier)})
        return await self._alone(resource, identifier, answer)

    async def _create_unless(self, resource: Resource, identifier: str) -> Answer:
        return await self.client.create(resource, unless=identifier)

    async def _create_in_transaction(self, resource: Resource, identifier: str) -> Answer:
        url = f"{resource['resourceType']}?identifier={escape(identifier)}"
        return await self._in_transaction(resource, {"method": "PUT", "url": url})

    async def _in_transaction(self, resource: Resource, request: Resource) -> Answer:
        entry = {"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": resource, "request": request}
        [answer] = await self.client.transaction([entry])
        return answer

    async def _create_after_search(self, resource: Resource, identifier: str) -> Answer:
        try:
            answer = await self.client.create(resource, identifier=identifier)
        except Unavailable as error:
            # It may still be under way over there, and nothing guards against a second one.
            error.retry_after = max(error.retry_after or 0.0, self._timeout)
            raise
        return await self._alone(resource, identifier, answer)

    async def _alone(self, resource: Resource, identifier: str, answer: Answer) -> Answer:
        """`answer`, once a search after the write has shown that no other writer created it at the same time."""
        kind = str(resource["resourceType"])
        held = await self._only(kind, identifier, await self.client.find(kind, identifier))
        if held is not None and str(held["id"]) != answer.id:
            raise Contested("another writer created it at the same time", place=f"{self.client.base}/{kind}")
        return answer


_SEARCHING: Final = frozenset({Way.CLIENT_ID, Way.SEARCH})
"""Ways whose creation does not see a resource that another writer made under an id of its own."""


def id_for(identifier: str) -> str:
    """The logical id that is derived from an identifier: no id of a study or person in the server's logs and links."""
    return hashlib.sha256(identifier.encode()).hexdigest()[:40]
