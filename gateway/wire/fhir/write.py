"""One write of a resource: what it brings, what it must hold to, what came of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import NeedsPerson, Unavailable
from gateway.wire.fhir.answer import Contested, Resource
from gateway.wire.fhir.standing import WriteStanding


@dataclass(frozen=True, slots=True)
class Written:
    """The server holds the resource as we sent it."""

    status: int
    id: str
    version: str
    note: str = ""
    """What was remarkable, in plain words; '' for a plain write."""
    was_contested: bool = False
    """Another write of the resource was met on the way, ours or another writer's."""
    request_id: str = ""
    """X-Request-Id of the write; empty: nothing was written, or by one of several requests."""


@dataclass(frozen=True, slots=True)
class ResourceWrite:
    """What is written, and what it must hold to."""

    resource: Resource
    identifier: str
    standing: WriteStanding
    may_be_there: bool = False
    """A write of the same resource was met before."""

    @property
    def kind(self) -> str:
        return str(self.resource["resourceType"])


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


def id_for(identifier: str) -> str:
    """The logical id that is derived from an identifier: no id of a study or person in the server's logs and links."""
    return hashlib.sha256(identifier.encode()).hexdigest()[:40]
