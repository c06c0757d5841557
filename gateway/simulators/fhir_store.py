"""What the simulated EHR holds, and its search: FHIR R4 http (3.1.0) and search (3.1.1), in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from gateway.simulators.fhir_rules import Issue

Resource = dict[str, Any]
Query = list[tuple[str, str]]

_RESULT_PARAMETERS = ("_elements", "_format", "_summary", "_total")
"""They shape the answer and choose nothing."""
_SEARCHES = {
    "identifier": ("token", "identifier"),
    "status": ("code", "status"),
    "_id": ("code", "id"),
    "patient": ("reference", "subject"),
    "subject": ("reference", "subject"),
}
"""Search parameter -> how it matches, and the element it looks at."""


class FhirError(Exception):
    """What the EHR answers with an OperationOutcome."""

    def __init__(self, status: int, *issues: Issue) -> None:
        super().__init__("; ".join(issue.text for issue in issues))
        self.status = status
        self.issues = issues


class ResourceStore:
    """The current version of each resource."""

    def __init__(self) -> None:
        self._resources: dict[str, dict[str, Resource]] = {}

    def get(self, resource_type: str, identity: str) -> Resource | None:
        return self._resources.get(resource_type, {}).get(identity)

    def keep(self, resource: Resource, identity: str) -> Resource:
        """Store a new version; the versions of one resource are 1, 2, 3, ..."""
        of_type = self._resources.setdefault(resource["resourceType"], {})
        version = int(of_type[identity]["meta"]["versionId"]) + 1 if identity in of_type else 1
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        meta = {**resource.get("meta", {}), "versionId": str(version), "lastUpdated": now}
        of_type[identity] = {**resource, "id": identity, "meta": meta}
        return of_type[identity]

    def remove(self, resource_type: str, identity: str) -> None:
        self._resources.get(resource_type, {}).pop(identity, None)

    def matches(self, resource_type: str, query: Query) -> list[Resource]:
        """What meets every criterion, the oldest first. An unknown parameter is refused, never ignored."""
        found = list(self._resources.get(resource_type, {}).values())
        for name, value in query:
            if name in _RESULT_PARAMETERS:
                continue
            if name not in _SEARCHES:
                raise FhirError(400, Issue("not-supported", "", f"unknown search parameter {name!r}"))
            found = list(filter(_criterion(name, value), found))
        return found

    def only(self, resource_type: str, condition: Query) -> Resource | None:
        """The one match of a conditional create or update; several are a failed precondition."""
        found = self.matches(resource_type, condition)
        if len(found) > 1:
            raise FhirError(412, Issue("multiple-matches", "", f"{len(found)} resources meet the condition"))
        return found[0] if found else None


def condition_of(text: str) -> Query:
    """The criteria of a conditional create or update; none at all would match everything."""
    query = [(name, value) for name, value in parse_qsl(text) if name not in _RESULT_PARAMETERS]
    if not query:
        raise FhirError(412, Issue("incomplete", "", "the condition has no search criteria"))
    return query


def _criterion(parameter: str, value: str) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a resource meets one search parameter."""
    how, element = _SEARCHES[parameter]
    alternatives = value.split(",")
    if how == "token":
        tokens = [_token(one) for one in alternatives]
        return lambda resource: any(token(one) for one in resource.get(element) or [] for token in tokens)
    if how == "reference":
        return lambda resource: (resource.get(element) or {}).get("reference") in alternatives
    return lambda resource: resource.get(element) in alternatives


def _token(wanted: str) -> Callable[[Mapping[str, Any]], bool]:
    """`system|value`, `system|`, `|value` (one without a system) and `value` (R4 search 3.1.1.4.10)."""
    system, bar, value = wanted.rpartition("|")

    def holds(identifier: Mapping[str, Any]) -> bool:
        of_value = identifier.get("value") == value or (bool(system) and not value)
        return of_value and (not bar or identifier.get("system", "") == system)

    return holds
