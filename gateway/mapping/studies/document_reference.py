"""A study as a DocumentReference with a link to a viewer, for an EHR that takes no ImagingStudy from others."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from gateway.records.study import Release

UID_PLACE: Final = "{study_uid}"
"""Where the Study Instance UID goes in the address of a viewer."""
_LOINC: Final = "http://loinc.org"
_TYPE: Final = {
    "coding": [{"system": _LOINC, "code": "18748-4", "display": "Diagnostic imaging study"}],
    "text": "Diagnostic imaging study",
}
_CATEGORY: Final = {
    "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD", "display": "Radiology"}
    ],
}  # fmt: skip


def document_reference(study: dict[str, Any], study_uid: str, viewer_url: str, release: Release) -> dict[str, Any]:
    """The DocumentReference of an R4 ImagingStudy: what it is, whose, of which order, and where it is looked at.

    `viewer_url` has `{study_uid}` where the Study Instance UID goes.
    """
    document: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "identifier": study["identifier"],
        "status": "entered-in-error" if study["status"] == "entered-in-error" else "current",
        "type": _TYPE,
        "category": [_CATEGORY],
        "subject": study["subject"],
        **({"description": study["description"]} if "description" in study else {}),
        "content": [{"attachment": _attachment(study, viewer_url.replace(UID_PLACE, quote(study_uid, safe="")))}],
    }
    encounter, orders = study.get("encounter"), study.get("basedOn") or []
    period = {"start": study["started"]} if "started" in study else None
    if release == "R5":
        regions = _regions(study)
        more = {
            "modality": [{"coding": [one]} for one in study.get("modality") or ()],
            "bodySite": [{"concept": one} for one in regions],
            "basedOn": orders,
            "context": [encounter] if encounter else [],
            "period": period,
        }
        return document | {key: value for key, value in more.items() if value}
    [uid] = [one for one in study["identifier"] if one["system"] == "urn:dicom:uid"]
    context = {"encounter": [encounter] if encounter else [], "period": period, "related": orders}
    subset = {key: value for key, value in context.items() if value}
    return document | {"masterIdentifier": uid} | ({"context": subset} if subset else {})


def _attachment(study: dict[str, Any], address: str) -> dict[str, Any]:
    modalities = "/".join(one["code"] for one in study.get("modality") or ())
    title = " ".join(part for part in (modalities, study.get("description", "")) if part)
    return {"contentType": "text/html", "url": address} | ({"title": title} if title else {})


def _regions(study: dict[str, Any]) -> list[dict[str, Any]]:
    """Body sites of the series, each once."""
    found: dict[str, dict[str, Any]] = {}
    for series in study.get("series") or ():
        if site := series.get("bodySite"):
            coded = {"coding": [site]} if site.get("code") else {"text": site["display"]}
            found.setdefault(str(site.get("code") or site.get("display")), coded)
    return list(found.values())
