"""The objects of a JSON array, however its body is cut."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.wire.dicomweb.json_stream import JsonArray

VALUES = st.recursive(
    st.text('"\\{}[], aé', max_size=8) | st.integers(0, 99) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a}{", max_size=2), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text('a"}', max_size=3), VALUES, max_size=3), max_size=5)


def read(body: bytes, size: int) -> list[bytes]:
    array = JsonArray(10_000)
    found = [one for at in range(0, len(body), size) for one in array.feed(body[at : at + size])]
    return [*found, *array.end()]


@given(OBJECTS, st.integers(1, 40), st.booleans())
def test_each_object_comes_whole(objects: list[dict[str, object]], size: int, is_indented: bool) -> None:
    body = orjson.dumps(objects, option=orjson.OPT_INDENT_2 if is_indented else None)
    assert [orjson.loads(one) for one in read(body, size)] == objects


def test_an_object_without_an_array_is_its_only_one() -> None:
    assert read(b' {"a": "}"} ', 3) == [b'{"a": "}"}']
    assert read(b"", 1) == []


@pytest.mark.parametrize("body", [b"[", b'[{"a":1}', b'[{"a":"', b"<html>", b"[1]", b"[]]", b"null", b'[{"a":1}x]'])
def test_what_is_no_array_of_objects_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(body, 4)


def test_an_object_that_never_ends_is_not_kept() -> None:
    with pytest.raises(Malformed, match="more than 10000 bytes"):
        read(b'[{"a":"' + b"x" * 20_000, 500)
