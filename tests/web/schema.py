"""A strict reading of the part of JSON Schema 2020-12 that the OpenAPI document uses.

Stricter than the standard in two places: a property that the schema does not name is a fault, and so is a keyword
that this reader does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
SILENT = {"title", "description", "default", "format"}
KNOWN = SILENT | {
    "$ref", "anyOf", "type", "enum", "const", "pattern", "properties", "required", "additionalProperties", "items",
}  # fmt: skip


def faults(value: Any, schema: Any, document: dict[str, Any], at: str = "$") -> Iterator[str]:
    """What of `value` is not as `schema` of `document` says."""
    if schema is True:
        return
    unknown = set(schema) - KNOWN
    if unknown:
        yield f"{at}: the reader does not know {unknown}"
    if "$ref" in schema:
        yield from faults(value, _resolve(schema["$ref"], document), document, at)
    if "anyOf" in schema and all(any(faults(value, one, document, at)) for one in schema["anyOf"]):
        yield f"{at}: none of anyOf"
    if "type" in schema:
        fits = isinstance(value, TYPES[schema["type"]])
        if not fits or (isinstance(value, bool) and schema["type"] != "boolean"):
            yield f"{at}: {value!r} is no {schema['type']}"
            return
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        yield f"{at}: {value!r} is not one of the values"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at}: {value!r} does not match {schema['pattern']}"
    if isinstance(value, dict):
        yield from _object(value, schema, document, at)
    if isinstance(value, list) and "items" in schema:
        for index, one in enumerate(value):
            yield from faults(one, schema["items"], document, f"{at}[{index}]")


def _object(value: dict[str, Any], schema: dict[str, Any], document: dict[str, Any], at: str) -> Iterator[str]:
    yield from (f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value)
    named, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, one in value.items():
        if name in named:
            yield from faults(one, named[name], document, f"{at}.{name}")
        elif others is None and "type" in schema:
            yield f"{at}: {name} is not documented"
        elif isinstance(others, dict):
            yield from faults(one, others, document, f"{at}.{name}")


def _resolve(ref: str, document: dict[str, Any]) -> Any:
    found: Any = document
    for part in ref.removeprefix("#/").split("/"):
        found = found[part]
    return found
