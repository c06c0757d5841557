"""Answers of the facade: resources with their version, pages of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from gateway.mapping.studies.dates import instant
from gateway.store.imaging_studies import Served, sort_key
from gateway.web.facade.query import Asked, page_mark

MANDATORY: Final = frozenset({"resourceType", "id", "meta", "status", "subject"})
_SUBSETTED: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


def resource_of(one: Served) -> dict[str, Any]:
    """An ImagingStudy with its id and version."""
    meta = {"versionId": str(one.version), "lastUpdated": instant(one.updated_at)}
    rest = {key: value for key, value in one.resource.items() if key != "resourceType"}
    return {"resourceType": "ImagingStudy", "id": one.study_uid, "meta": meta, **rest}


def searchset(
    base: str, asked: Asked, shown: Sequence[Served], *, more: bool, total: int | None, endpoint: dict[str, Any] | None
) -> dict[str, Any]:
    """One page; `more`: another follows."""
    links = [{"relation": "self", "url": _url(base, asked.used)}]
    if more and shown:
        mark = page_mark(sort_key(asked.question, shown[-1]))
        links.append({"relation": "next", "url": _url(base, (*asked.used, ("_page", mark)))})
    entries = [_entry(base, _part(resource_of(one), asked), "match") for one in shown]
    if asked.include_endpoints and endpoint and any("endpoint" in one.resource for one in shown):
        entries.append(_entry(base, endpoint, "include"))
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        bundle["total"] = total
    bundle["link"] = links
    if entries:
        bundle["entry"] = entries
    return bundle


def _entry(base: str, resource: dict[str, Any], mode: str) -> dict[str, Any]:
    url = f"{base}/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": mode}}


def _part(resource: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """The elements that were asked for, marked as not being all."""
    if asked.elements:
        part = {key: value for key, value in resource.items() if key in MANDATORY | asked.elements}
    elif asked.summary == "text":
        part = {key: value for key, value in resource.items() if key in MANDATORY}
    elif asked.summary == "true":
        part = dict(resource)
        if "series" in part:
            part["series"] = [{key: value for key, value in one.items() if key != "instance"} for one in part["series"]]
    else:
        return resource
    part["meta"] = {**resource["meta"], "tag": [_SUBSETTED]}
    return part


def _url(base: str, parameters: Sequence[tuple[str, str]]) -> str:
    return f"{base}/ImagingStudy" + (f"?{urlencode(parameters)}" if parameters else "")


def outcome(message: str, place: str, code: str) -> dict[str, Any]:
    """An OperationOutcome that a person can read."""
    text = f"{place}: {message}" if place else message
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code, "diagnostics": text}]}
