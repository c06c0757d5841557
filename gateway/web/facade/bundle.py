"""Answers of the facade: resources with their version, pages of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

from gateway.mapping.studies.dates import instant
from gateway.store.imaging_studies import Served, sort_key
from gateway.web.facade.query import ImagingStudySearch, page_mark

MANDATORY: Final = frozenset({"resourceType", "id", "meta", "status", "subject"})
_SUBSETTED: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


def resource_of(study: Served) -> dict[str, Any]:
    """An ImagingStudy with its id and version."""
    meta = {"versionId": str(study.version), "lastUpdated": instant(study.updated_at)}
    rest = {key: value for key, value in study.resource.items() if key != "resourceType"}
    return {"resourceType": "ImagingStudy", "id": study.study_uid, "meta": meta, **rest}


def searchset(
    base: str,
    search: ImagingStudySearch,
    shown: Sequence[Served],
    *,
    more: bool,
    total: int | None,
    endpoint: dict[str, Any] | None,
) -> dict[str, Any]:
    """One page; `more`: another follows."""
    links = [{"relation": "self", "url": _url(base, search.used)}]
    if more and shown:
        mark = page_mark(sort_key(search.question, shown[-1]))
        links.append({"relation": "next", "url": _url(base, (*search.used, ("_page", mark)))})
    entries = [_entry(base, _part(resource_of(study), search), "match") for study in shown]
    if search.include_endpoints and endpoint and any("endpoint" in study.resource for study in shown):
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


def _part(resource: dict[str, Any], search: ImagingStudySearch) -> dict[str, Any]:
    """The elements that were asked for, marked as not being all."""
    if search.elements:
        part = {key: value for key, value in resource.items() if key in MANDATORY | search.elements}
    elif search.summary == "text":
        part = {key: value for key, value in resource.items() if key in MANDATORY}
    elif search.summary == "true":
        part = dict(resource)
        if "series" in part:
            part["series"] = [
                {key: value for key, value in series.items() if key != "instance"} for series in part["series"]
            ]
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
