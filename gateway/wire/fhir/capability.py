"""What a server says it can do (CapabilityStatement), and which way of writing follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Way(StrEnum):
    """How a resource that a server does not hold yet is brought there so that it cannot be there twice.

    Once its id is known, every way updates it by that id and the version seen last (If-Match).
    """

    CLIENT_ID = "client_id"
    """PUT under an id that is derived from its identifier (update-as-create)."""
    CONDITIONAL_UPDATE = "conditional_update"
    """PUT with the identifier as condition."""
    CONDITIONAL_CREATE = "conditional_create"
    """POST with If-None-Exist."""
    TRANSACTION = "transaction"
    """A transaction Bundle whose entry is a conditional update."""
    SEARCH = "search"
    """Search, then POST, then search again and mend what another writer made meanwhile."""


WAYS: Final = {
    "updateCreate": Way.CLIENT_ID,
    "conditionalUpdate": Way.CONDITIONAL_UPDATE,
    "conditionalCreate": Way.CONDITIONAL_CREATE,
}
"""What a CapabilityStatement announces of a resource type -> the way to use, the safest first: one address that can
only hold one resource; then conditions, whose check some servers do not guard against a second writer."""

FHIR_VERSIONS: Final = {"R4": ("4.0.", "4.3."), "R5": ("5.0.",)}
"""Releases and the versions that take their resources; R4B's resources are R4's."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Of one resource type on one server."""

    fhir_version: str
    kind: str
    served: bool
    """The resource type is listed at all."""
    writes: frozenset[str]
    """Of create, update, delete, search-type, read: what is announced."""
    ways: tuple[Way, ...]
    """What may be used, the best first; `SEARCH` needs no more than create, update and search."""
    transactions: bool
    software: str = ""

    @property
    def way(self) -> Way:
        return self.ways[0]

    def speaks(self, release: str) -> bool:
        return self.fhir_version.startswith(FHIR_VERSIONS[release])


def capabilities_of(statement: Mapping[str, Any], kind: str) -> Capabilities:
    """What a CapabilityStatement says of resource type `kind`. Parts that are missing or odd count as not announced."""
    rests = [one for one in _items(statement, "rest") if one.get("mode", "server") == "server"]
    listed = [one for rest in rests for one in _items(rest, "resource") if one.get("type") == kind]
    announced = {key for one in listed for key in WAYS if one.get(key) is True}
    software = statement.get("software")
    return Capabilities(
        fhir_version=str(statement.get("fhirVersion") or ""),
        kind=kind,
        served=bool(listed),
        writes=frozenset(str(code.get("code")) for one in listed for code in _items(one, "interaction")),
        ways=(*(way for key, way in WAYS.items() if key in announced), Way.SEARCH),
        transactions=any(code.get("code") == "transaction" for rest in rests for code in _items(rest, "interaction")),
        software=str(software.get("name") or "") if isinstance(software, Mapping) else "",
    )


def _items(holder: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = holder.get(key)
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
