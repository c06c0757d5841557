"""Logical references become links to what the EHR holds: its own Patient, its own ServiceRequests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

from gateway.errors import NeedsPerson
from gateway.wire.fhir import FhirClient
from gateway.wire.fhir.capability import Capabilities, Way

Resource = dict[str, Any]
Mode = Literal["identifier", "find", "create"]
ELEMENTS: Final = {"Patient": "subject", "ServiceRequest": "basedOn"}
"""Type -> the element of a study's resource that refers to it by identifier."""


class EhrLinks:
    """`modes`: for each type, whether it is left to the identifier, looked for, or made where there is none.

    A resource is made with a conditional create alone: what the EHR holds of a patient is its own and never changed.
    """

    def __init__(
        self, client: FhirClient, capabilities: Callable[[str], Awaitable[Capabilities]], modes: dict[str, Mode]
    ) -> None:
        self._client = client
        self._capabilities = capabilities
        self._modes = {kind: mode for kind, mode in modes.items() if mode != "identifier"}

    async def linked(self, resource: Resource, patient: Resource | None) -> tuple[Resource, list[str]]:
        """`resource` with links, and what could not be linked and why, in plain words.

        `patient` is made where it is looked for in vain and may be. Raises what `FhirClient` raises.
        """
        changed, notes = dict(resource), list[str]()
        for kind in self._modes:
            element = ELEMENTS[kind]
            references = changed.get(element)
            if isinstance(references, list):
                changed[element] = [await self._link(kind, reference, None, notes) for reference in references]
            elif references:
                changed[element] = await self._link(kind, references, patient, notes)
        return changed, notes

    async def _link(self, kind: str, reference: Resource, missing: Resource | None, notes: list[str]) -> Resource:
        identifier = reference.get("identifier") or {}
        system, value = identifier.get("system"), identifier.get("value")
        if reference.get("type") != kind or not system or not value:
            return reference
        found = await self._client.find(kind, f"{system}|{value}")
        held = [one for one in map(_standing, found) if one]
        if not held and missing is not None and self._modes[kind] == "create":
            held = [await self._create(kind, missing, f"{system}|{value}")]
        if len(set(held)) == 1:
            return {"reference": held[0], **reference}
        notes.append(f"the EHR holds {len(set(held)) or 'no'} {kind} with the identifier {system}|{value}")
        return reference

    async def _create(self, kind: str, resource: Resource, identifier: str) -> str:
        known = await self._capabilities(kind)
        if Way.CONDITIONAL_CREATE not in known.ways:
            raise NeedsPerson(
                f"the EHR does not announce conditional create for {kind}, and without it one could be made twice; set "
                "patient: find",
                place=self._client.base,
            )
        answer = await self._client.create(resource, unless=identifier)
        return f"{kind}/{answer.id}"


def _standing(one: Resource) -> str:
    """A reference to a resource that counts, or to the one that has taken its place; '' for neither."""
    if one.get("active") is not False and one.get("status") != "entered-in-error":
        return f"{one['resourceType']}/{one['id']}"
    replaced = (link for link in one.get("link") or () if link.get("type") == "replaced-by")
    return next((str((link.get("other") or {}).get("reference") or "") for link in replaced), "")
