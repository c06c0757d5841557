"""The last step of every resource: what has no value is left out, so that one odd attribute never stops a study."""

from __future__ import annotations

from typing import Any, Final

_HOLDERS: Final = (dict, list)
_TEXTS: Final = frozenset({str})


def tidied(resource: dict[str, Any]) -> dict[str, Any]:
    """`resource` without empty texts, identifiers without a value, references to nothing and empty elements."""
    result: dict[str, Any] = {}
    for key, value in resource.items():
        # Texts and numbers first: a study has tens of thousands of them.
        if isinstance(value, str):
            if value and not value.isspace():
                result[key] = value
        elif not isinstance(value, _HOLDERS):
            if value is not None:
                result[key] = value
        elif tidy := _element(key, value):
            result[key] = tidy
    return result


def _element(key: str, value: dict[str, Any] | list[Any]) -> dict[str, Any] | list[Any]:
    """What is left of the element or the list `key`."""
    if isinstance(value, list):
        return [tidy for item in value if not _is_empty(tidy := _item(key, item))]
    tidy = tidied(value)
    if key == "identifier" and "value" not in tidy:
        return {}
    if len(tidy) > 1:
        return tidy
    if "type" in tidy and len(value) > 1:
        # A reference whose identifier had no value.
        return {}
    return {} if "system" in tidy and "code" in value else tidy


def _item(key: str, value: Any) -> Any:
    if not isinstance(value, _HOLDERS) or (key != "identifier" and isinstance(value, dict) and _is_tidy(value)):
        return value
    return _element(key, value)


def _is_tidy(item: dict[str, Any]) -> bool:
    """Whether an item holds nothing but numbers, texts, and elements of several texts, all with characters, so that
    nothing of it is left out: what most of the thousands of instances of a study are."""
    if len(item) < 2 or "identifier" in item:
        return False
    for value in item.values():
        kind = type(value)
        if kind is dict:
            if len(value) < 2 or not _are_texts(value):
                return False
        elif kind is str:
            if not value or value.isspace():
                return False
        elif kind is not int:
            return False
    return True


def _are_texts(element: dict[str, Any]) -> bool:
    """Whether all values of an element are texts with characters."""
    values = element.values()
    return _TEXTS.issuperset(map(type, values)) and all(map(str.strip, values))


def _is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value or value.isspace()
    return value is None or (isinstance(value, _HOLDERS) and not value)
