"""What has no value is left out of a resource, by rules that are stated here once more, without any short way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mapping.studies.tidy import tidied

NAMES = st.sampled_from(["identifier", "value", "type", "system", "code", "reference", "uid", "number"])
LEAVES = st.sampled_from(["", " ", "x", "y", 0, 7, 1.5, True, None])
ELEMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)


def is_empty(value: Any) -> bool:
    return value in (None, [], {}) or (isinstance(value, str) and not value.strip())


def left_of(key: str, value: Any) -> Any:
    """What the rules leave of a value."""
    if isinstance(value, list):
        return [left for item in value if not is_empty(left := left_of(key, item))]
    if not isinstance(value, dict):
        return value
    left = {name: rest for name, inner in value.items() if not is_empty(rest := left_of(name, inner))}
    has_no_value = key == "identifier" and "value" not in left
    is_of_nothing = len(left) < 2 and (("type" in left and len(value) > 1) or ("system" in left and "code" in value))
    return {} if has_no_value or is_of_nothing else left


@given(st.dictionaries(NAMES, ELEMENTS, max_size=4))
@settings(max_examples=400, deadline=None)
def test_only_what_has_a_value_is_left(resource: dict[str, Any]) -> None:
    expected = {key: left for key, value in resource.items() if not is_empty(left := left_of(key, value))}
    assert tidied(resource) == expected


@pytest.mark.parametrize(
    ("item", "left"),
    [
        ({"uid": "1.2", "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2"}, "number": 1}, None),
        ({"uid": "1.2", "title": " ", "number": 1}, {"uid": "1.2", "number": 1}),
        ({"uid": "1.2", "sopClass": {"system": "urn:ietf:rfc:3986", "code": ""}}, {"uid": "1.2"}),
        ({"uid": "1.2", "identifier": {"system": "urn:x", "type": "y"}}, {"uid": "1.2"}),
    ],
    ids=["whole", "blank title", "no code", "no value"],
)
def test_an_instance_keeps_what_has_a_value(item: dict[str, Any], left: dict[str, Any] | None) -> None:
    assert tidied({"instance": [item]}) == {"instance": [left or item]}


def test_a_list_of_identifiers_keeps_those_with_a_value() -> None:
    resource = {"identifier": [{"system": "urn:x", "type": "y"}, {"system": "urn:x", "value": "1"}]}
    assert tidied(resource) == {"identifier": [{"system": "urn:x", "value": "1"}]}
