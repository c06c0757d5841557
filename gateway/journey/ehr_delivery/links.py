"""Logical references become links to what the EHR holds: its own Patient, its own ServiceRequests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from gateway.errors import NeedsPerson
from gateway.records.link import MissingLink, Target
from gateway.wire.fhir import FhirClient
from gateway.wire.fhir.capability import Capabilities, Way
from gateway.wire.fhir.client import Confirm

Resource = dict[str, Any]
Mode = Literal["identifier", "find", "create"]
ELEMENTS: Final = {
    "Patient": ("subject", "for"),
    "ServiceRequest": ("basedOn", "focus", "context.related"),
}
"""Type -> the elements that refer to it by identifier: `for` and `focus` in a Task, `context.related` in an R4
DocumentReference."""


@dataclass(slots=True)
class Linked:
    """A resource with the links that the EHR's own resources allow."""

    resource: Resource
    confirm: Confirm
    """Awaited before anything is made."""
    missing: list[MissingLink] = field(default_factory=list)
    made: list[Target] = field(default_factory=list)
    """Resources that were made for the sake of a link."""
    held: dict[Target, set[str]] = field(default_factory=dict)
    """References to what the EHR holds of each target that was looked for."""


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

    @property
    def are_made(self) -> bool:
        """Whether any reference becomes a link at all."""
        return bool(self._modes)

    async def linked(self, resource: Resource, patient: Resource | None, confirm: Confirm) -> Linked:
        """`resource` with links, and what could not be linked.

        `patient` is made where the EHR holds none and lets us make Patients, after `confirm`. Raises what `FhirClient`
        and `confirm` raise.
        """
        linked = Linked(dict(resource), confirm)
        for kind in self._modes:
            for path in ELEMENTS[kind]:
                await self._link_element(linked, path.split("."), kind, patient if kind == "Patient" else None)
        return linked

    async def _link_element(self, linked: Linked, path: list[str], kind: str, missing: Resource | None) -> None:
        holder = linked.resource
        for name in path[:-1]:
            if not isinstance(holder.get(name), dict):
                return
            holder[name] = dict(holder[name])
            holder = holder[name]
        references = holder.get(path[-1])
        if isinstance(references, list):
            holder[path[-1]] = [await self._link(linked, kind, one, None) for one in references]
        elif references:
            holder[path[-1]] = await self._link(linked, kind, references, missing)

    async def _link(self, linked: Linked, kind: str, reference: Resource, missing: Resource | None) -> Resource:
        identifier = reference.get("identifier") or {}
        system, value = identifier.get("system"), identifier.get("value")
        if reference.get("type") != kind or not system or not value:
            return reference
        target = Target(kind, f"{system}|{value}")
        is_first = target not in linked.held
        held = linked.held[target] = await self.held(target) if is_first else linked.held[target]
        if not held and missing is not None and self._modes[kind] == "create":
            held = linked.held[target] = {await self._create(linked, kind, missing, target.identifier)}
            linked.made.append(target)
        if len(held) == 1:
            return {"reference": next(iter(held)), **reference}
        if is_first:
            linked.missing.append(MissingLink(target, len(held)))
        return reference

    async def held(self, target: Target) -> set[str]:
        """References to what the EHR holds with the identifier of `target`, without what counts no longer."""
        found = await self._client.find(target.kind, target.identifier)
        return {one for one in map(_standing, found) if one}

    async def _create(self, linked: Linked, kind: str, resource: Resource, identifier: str) -> str:
        known = await self._capabilities(kind)
        if Way.CONDITIONAL_CREATE not in known.ways:
            raise NeedsPerson(
                f"the EHR does not announce conditional create for {kind}, and without it one could be made twice; set "
                "patient: find",
                place=self._client.base,
            )
        answer = await self._client.create(resource, unless=identifier, confirm=linked.confirm)
        return f"{kind}/{answer.id}"


def _standing(one: Resource) -> str:
    """A reference to a resource that counts, or to the one that has taken its place; '' for neither."""
    if one.get("active") is not False and one.get("status") != "entered-in-error":
        return f"{one['resourceType']}/{one['id']}"
    replaced = (link for link in one.get("link") or () if link.get("type") == "replaced-by")
    return next((str((link.get("other") or {}).get("reference") or "") for link in replaced), "")
