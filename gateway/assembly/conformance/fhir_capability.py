"""CapabilityStatements of the gateway: of its facade as a server, and towards each EHR as a client (FHIR R4 and R5)."""

from __future__ import annotations

from typing import Any, Final

from gateway.assembly.conformance.fhir_elements import looked_for_at, written_to
from gateway.assembly.http import FACADE, VERSION
from gateway.assembly.http_receivers import kind_of
from gateway.clock import Clock
from gateway.config.ehrs import Ehr
from gateway.config.tree import Config
from gateway.mapping.studies.dates import instant
from gateway.web.facade.capability import statement as of_facade
from gateway.wire.fhir.capability import WAYS, Way

VERSIONS: Final = {"R4": "4.0.1", "R5": "5.0.0"}
_SERVICES: Final = {
    "basic": ("Basic", "HTTP Basic"),
    "client_credentials": ("OAuth", "OAuth 2.0 client credentials"),
    "smart": ("SMART-on-FHIR", "SMART Backend Services"),
}
"""Kind of login -> code of `restful-security-service`, and its name; a bearer token has none."""
_SECURITY_SERVICE: Final = "http://terminology.hl7.org/CodeSystem/restful-security-service"


def bundle(config: Config, clock: Clock) -> dict[str, Any]:
    """A collection of the CapabilityStatements: the facade where it is served, then one for each EHR."""
    statements = [client_statement(ehr, clock) for ehr in config.ehrs]
    if config.facade.enabled:
        statements.insert(0, facade_statement(config, clock))
    entries = {"entry": [{"resource": one} for one in statements]} if statements else {}
    return {"resourceType": "Bundle", "type": "collection", **entries}


def facade_base(config: Config) -> str:
    """The base address of the facade, as its readers know it."""
    return (config.facade.url or f"http://{config.http.host}:{config.http.port}{FACADE}").rstrip("/")


def facade_statement(config: Config, clock: Clock) -> dict[str, Any]:
    """What the facade says of itself at `/metadata`."""
    return of_facade(facade_base(config), VERSION, instant(clock()))


def client_statement(ehr: Ehr, clock: Clock) -> dict[str, Any]:
    """What the gateway asks of an EHR."""
    rest: dict[str, Any] = {
        "mode": "client",
        "documentation": f"What the gateway reads and writes at {ehr.name}",
        "security": _security(ehr),
        "resource": [
            *(_written(ehr, kind) for kind in written_to(ehr)),
            *(_looked_for(kind) for kind in looked_for_at(ehr)),
            *([_AUDIT_EVENT] if ehr.audit_events else []),
        ],
    }
    if Way.TRANSACTION in ways_to(ehr, ehr.resource):
        rest["interaction"] = [{"code": "transaction"}]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(clock()),
        "kind": "instance",
        "software": {"name": "Imaging gateway", "version": VERSION},
        "implementation": {"description": f"The gateway as a client of {ehr.name}", "url": ehr.url},
        "fhirVersion": VERSIONS[ehr.fhir_version],
        "format": ["application/fhir+json"],
        "rest": [{key: value for key, value in rest.items() if value}],
    }


def ways_to(ehr: Ehr, kind: str) -> tuple[Way, ...]:
    """How a new resource may be brought there, the preferred first; a Patient is made by conditional create alone."""
    if kind == "Patient":
        return (Way.CONDITIONAL_CREATE,)
    return (*WAYS.values(), Way.SEARCH) if ehr.write == "auto" else (Way(ehr.write),)


def _written(ehr: Ehr, kind: str) -> dict[str, Any]:
    ways = ways_to(ehr, kind)
    codes = ["read", "search-type", "create", *([] if kind == "Patient" else ["update", "delete"])]
    return {
        "type": kind,
        "interaction": [{"code": code} for code in codes],
        **({} if kind == "Patient" else {"versioning": "versioned-update"}),
        **{key: True for key, way in WAYS.items() if way in ways},
        "referencePolicy": ["logical", "literal"],
        "searchParam": [_IDENTIFIER],
    }


def _looked_for(kind: str) -> dict[str, Any]:
    return {"type": kind, "interaction": [{"code": "search-type"}], "searchParam": [_IDENTIFIER]}


_AUDIT_EVENT: Final = {
    "type": "AuditEvent",
    "documentation": "each event of the audit trail, after IHE BALP",
    "interaction": [{"code": "create"}],
}
_IDENTIFIER: Final = {"name": "identifier", "type": "token", "documentation": "system|value"}


def _security(ehr: Ehr) -> dict[str, Any]:
    code, display = _SERVICES.get(kind_of(ehr), ("", ""))
    if not code:
        return {"description": "a bearer token"} if kind_of(ehr) == "bearer" else {}
    coding = {"system": _SECURITY_SERVICE, "code": code, "display": display}
    return {"service": [{"coding": [coding]}], "description": display}
