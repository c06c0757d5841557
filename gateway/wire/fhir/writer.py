"""Brings a resource that is known by an identifier to a server, once, whatever happens on the way.

A resource is *created* by the way that suits the server (`Way`) and, once its id is known, *updated* by that id: only
after a read has shown that what stands there has the resource's identifier, and only where the version is still the one
that was read. A server that has lost data gives ids again, and a remembered id and version may be another patient's. A
try that may have reached the server is never repeated before the server was asked what it holds.

Nothing old is written over something new: a resource carries the revision of the write that brought it
(`WriteStanding`), and a write gives way to a later one that stands there.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import replace
from typing import Final, Literal

from gateway.errors import NeedsPerson
from gateway.wire.fhir.answer import Answer, Contested, Gone, Refused, Resource, carries, version_of
from gateway.wire.fhir.capability import Way
from gateway.wire.fhir.client import Confirm, FhirClient
from gateway.wire.fhir.creating import Creation, in_transaction
from gateway.wire.fhir.duplicates import Mode, Singles
from gateway.wire.fhir.sameness import says_the_same
from gateway.wire.fhir.standing import UNCONDITIONAL, WriteStanding, is_of_extension, revision_of, with_revision
from gateway.wire.fhir.ways import Ways
from gateway.wire.fhir.write import AlreadyThere, Replaced, ResourceWrite, Written, id_for

log = logging.getLogger(__name__)

ROUNDS: Final = 4
"""How often a write is applied again to what another writer made of the resource meanwhile."""


class FhirWriter:
    """Writes resources to one server.

    `way` None: what the server's CapabilityStatement allows. `duplicates`: whether resources with one identifier are
    reported or all but one are deleted; those that are all ours are mended in any case. `when_deleted`: what to do when
    a resource of ours was deleted over there.
    """

    def __init__(
        self,
        client: FhirClient,
        *,
        way: Way | None = None,
        duplicates: Mode = "report",
        when_deleted: Literal["stop", "recreate"] = "stop",
        timeout_seconds: float = 30.0,
    ) -> None:
        self.client = client
        self.ways = Ways(client, way)
        self.timeout_seconds = timeout_seconds
        self._singles = Singles(client, duplicates)
        self._when_deleted = when_deleted
        self._takes_revisions = True
        """Until the server has refused one."""
        self._creation = Creation(client, self.ways, self._singles, timeout_seconds=timeout_seconds)

    async def write(
        self,
        resource: Resource,
        identifier: str,
        *,
        known: str | None = None,
        unsure: bool = False,
        standing: WriteStanding = UNCONDITIONAL,
    ) -> Written:
        """Let the server hold `resource`, which carries `identifier` (`system|value`).

        `known`: the id that is remembered. `unsure`: an earlier try may have reached the server, so it is asked first.
        Raises `Unavailable` for what may pass, `NeedsPerson` for the rest: `Refused`, duplicates, a deletion; and what
        `standing` raises.
        """
        if not standing.revision or not self._takes_revisions:
            return await self._bring(ResourceWrite(resource, identifier, standing), known, unsure=unsure)
        revised = with_revision(resource, standing.revision)
        try:
            return await self._bring(ResourceWrite(revised, identifier, standing), known, unsure=unsure)
        except Refused as error:
            if not is_of_extension(error):
                raise
        written = await self._bring(ResourceWrite(resource, identifier, standing), known, unsure=True)
        self._takes_revisions = False
        log.warning("%s takes no extension with a revision; resources go there without it", self.client.base)
        return written

    async def _bring(self, write: ResourceWrite, known: str | None, *, unsure: bool) -> Written:
        note = ""
        for _ in range(ROUNDS):
            try:
                written = await self._write(write, known, unsure=unsure)
                notes = f"{note}; {written.note}".strip("; ")
                return replace(written, note=notes, was_contested=write.may_be_there)
            except Replaced as error:
                note, known, unsure = error.message, None, True
            except AlreadyThere as error:
                known = error.id
            except Gone as error:
                self._deleted(write, known, error)
                known, unsure = None, True
            except Contested:
                # What stands there now may be our own write whose answer was lost.
                unsure = True
                await asyncio.sleep(random.uniform(0.0, 0.2))
            write = replace(write, may_be_there=True)
        reason = f"the resource keeps being changed by another writer; given up after {ROUNDS} rounds"
        raise Contested(reason, place=f"{self.client.base}/{write.kind}")

    async def _write(self, write: ResourceWrite, known: str | None, *, unsure: bool) -> Written:
        held = await self._find(write, known, unsure=unsure)
        if held is None:
            answer = await self._creation.create(write)
            return Written(answer.status, answer.id, answer.version, request_id=answer.request_id)
        identity, version = str(held["id"]), version_of(held)
        if reason := await self._needless(write, held):
            return Written(200, identity, version, reason)
        answer = await self._update(write, identity, version)
        return Written(answer.status, answer.id, answer.version, request_id=answer.request_id)

    async def look(self, kind: str, identifier: str, *, known: str | None, confirm: Confirm) -> Resource | None:
        """What the server holds with `identifier`; None for nothing. Several of ours are made one, which is that under
        the id that is remembered, if it is among them. Raises as `write` does."""
        held = await self.client.find(kind, identifier)
        remembered = None if known is None else await self.client.read(kind, known)
        if remembered is not None and carries(remembered, identifier):
            # A search may lag behind what was committed; a read does not.
            held = [remembered, *(one for one in held if one.get("id") != known)]
        return await self._singles.only(kind, identifier, held, confirm, keep=known)

    async def _needless(self, write: ResourceWrite, held: Resource) -> str:
        """Why what stands there is left as it is; '' when ours is to be written over it."""
        if says_the_same(write.resource, held):
            return "already there"
        there, ours = revision_of(held), write.standing.revision
        return "a later version was there" if there > ours and await write.standing.is_later(there) else ""

    async def _find(self, write: ResourceWrite, known: str | None, *, unsure: bool) -> Resource | None:
        """The server's resource with the identifier; None: there is none, or the way of creating looks by itself.

        Raises `Gone` and `Replaced` for an id that is remembered and leads to nothing, or to another resource.
        """
        kind, identifier = write.kind, write.identifier
        if known is not None:
            return await self._read(kind, identifier, known)
        way = await self.ways.way(kind)
        if not unsure and way not in _SEARCHING:
            return None
        held = await self.client.find(kind, identifier)
        ours = await self.client.read(kind, id_for(identifier)) if way is Way.CLIENT_ID and unsure else None
        if ours is not None and carries(ours, identifier):
            # A search may lag behind what was committed; a read does not.
            held = [ours, *(one for one in held if one.get("id") != ours.get("id"))]
        return await self._singles.only(
            kind, identifier, held, write.standing.confirm, keep=None if ours is None else str(ours["id"])
        )

    async def _read(self, kind: str, identifier: str, known: str) -> Resource:
        held = await self.client.read(kind, known)
        place = f"{self.client.base}/{kind}/{known}"
        if held is None:
            raise Gone("it was deleted", place=place, details={})
        if not carries(held, identifier):
            raise Replaced(f"the server has given {kind}/{known} to another resource since", place=place)
        return held

    def _deleted(self, write: ResourceWrite, known: str | None, error: Gone) -> None:
        if known is None:
            # Not a resource that is gone: the address as a whole leads nowhere.
            raise error
        if self._when_deleted == "stop":
            raise NeedsPerson(
                f"{write.kind}/{known} ({write.identifier}) was deleted on the server; set "
                "when_deleted: recreate if it is to be made anew",
                place=error.place,
            ) from error

    async def _update(self, write: ResourceWrite, known: str, version: str) -> Answer:
        if self.ways.configured is not Way.TRANSACTION:
            return await self._put(write, known, version)
        request = {"method": "PUT", "url": f"{write.kind}/{known}"}
        condition = {"ifMatch": f'W/"{version}"'} if version else {}
        return await in_transaction(self.client, write, {**write.resource, "id": known}, request | condition)

    async def _put(self, write: ResourceWrite, known: str, version: str) -> Answer:
        try:
            return await self.client.put(
                {**write.resource, "id": known}, version=version, confirm=write.standing.confirm
            )
        except Gone:
            raise
        except Refused as error:
            # Some say 400 to an update of what was deleted since the read.
            if await self.client.read(write.kind, known) is None:
                raise Gone(error.message, place=str(error.place), details=error.details) from error
            raise


_SEARCHING: Final = frozenset({Way.CLIENT_ID, Way.SEARCH})
"""Ways whose creation does not see a resource that another writer made under an id of its own."""
