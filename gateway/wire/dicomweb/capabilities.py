"""The description of a service that Retrieve Capabilities answers (PS3.18 8.9, Annex H): WADL, or the same as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import orjson

NAMESPACE: Final = "http://wadl.dev.java.net/2009/02"


@dataclass(frozen=True, slots=True)
class Method:
    """A transaction of a resource."""

    id: str
    """Its name in the standard, such as `Create`."""
    clause: str
    http_method: str
    query: Sequence[str] = ()
    headers: Sequence[str] = ()
    request_types: Sequence[str] = ()
    """Media types that are taken."""
    response_types: Sequence[str] = ()
    statuses: Sequence[int] = ()
    """Of a success, then of each failure."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource below the base URI, with its transactions."""

    path: str
    methods: Sequence[Method]


def as_wadl(base: str, resources: Sequence[Resource], role: str) -> bytes:
    """One application with one `resources` (Annex H)."""
    application = Element("application", {"xmlns": NAMESPACE})
    top = SubElement(application, "resources", {"base": base})
    for resource in resources:
        element = SubElement(top, "resource", {"path": resource.path})
        for method in resource.methods:
            _method(SubElement(element, "method", {"name": method.http_method, "id": method.id}), method, role)
    document: bytes = ElementTree.tostring(application, encoding="utf-8", xml_declaration=True)
    return document


def _method(element: Element, method: Method, role: str) -> None:
    SubElement(element, "doc", {"title": method.id}).text = f"PS3.18 {method.clause}; {role}; UTF-8"
    request = SubElement(element, "request")
    for style, names in (("query", method.query), ("header", method.headers)):
        for name in names:
            SubElement(request, "param", {"name": name, "style": style})
    for media_type in method.request_types:
        SubElement(request, "representation", {"mediaType": media_type})
    success, *failures = method.statuses
    response = SubElement(element, "response", {"status": str(success)})
    for media_type in method.response_types:
        SubElement(response, "representation", {"mediaType": media_type})
    SubElement(element, "response", {"status": " ".join(map(str, failures))})


def as_json(base: str, resources: Sequence[Resource], role: str) -> bytes:
    """The same description; the standard gives no schema for it."""
    described: dict[str, Any] = {
        "base": base,
        "role": role,
        "charsets": ["utf-8"],
        "resources": [
            {"path": resource.path, "methods": [_described(method) for method in resource.methods]}
            for resource in resources
        ],
    }
    return orjson.dumps(described)


def _described(method: Method) -> dict[str, Any]:
    return {
        "id": method.id,
        "clause": f"PS3.18 {method.clause}",
        "name": method.http_method,
        "query": list(method.query),
        "headers": list(method.headers),
        "request_types": list(method.request_types),
        "response_types": list(method.response_types),
        "statuses": list(method.statuses),
    }
