"""The last step of every resource: what has no value is left out, so that one odd attribute never stops a study."""

from __future__ import annotations

from typing import Any


def tidied(resource: dict[str, Any]) -> dict[str, Any]:
    """`resource` without empty texts, identifiers without a value, references to nothing and empty elements."""
    return {key: value for key, one in resource.items() if not _is_empty(value := _tidy(key, one))}


def _tidy(key: str, value: Any) -> Any:
    if isinstance(value, str):
        return value if value.strip() else ""
    if isinstance(value, list):
        return [one for item in value if not _is_empty(one := _tidy(key, item))]
    if not isinstance(value, dict):
        return value
    tidy = tidied(value)
    if key == "identifier" and "value" not in tidy:
        return {}
    if len(tidy) > 1:
        return tidy
    if "type" in tidy and len(value) > 1:
        # A reference whose identifier had no value.
        return {}
    return {} if "system" in tidy and "code" in value else tidy


def _is_empty(value: Any) -> bool:
    return value is None or (not value and isinstance(value, str | list | dict))
