"""The DICOM JSON Model (PS3.18 Annex F)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import orjson

from gateway.errors import Malformed
from gateway.long_work import LONG_BYTES, pause
from gateway.wire.dicomweb import long_json
from gateway.wire.dicomweb.dataset import (
    BINARY,
    WITHOUT_SIGNS,
    Attribute,
    Dataset,
    Readable,
    base64_of,
    bytes_of,
    check_depth,
    is_of_data_sets,
    tag_of,
    vr_of,
)

_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_WHOLE: Final = frozenset({"IS", "SL", "SS", "SV", "UL", "US", "UV"})
_FRACTIONS: Final = frozenset({"DS", "FD", "FL"})
_AS_TEXT_TOO: Final = frozenset({"DS", "IS", "SV", "UV"})
"""Numbers that may be strings (PS3.18 F.2.2): those that cannot be read as numbers are left as they are."""
_HALF: Final = re.compile("[\ud800-\udfff]")
_CURE: Final = 'send a DICOM JSON object, such as {"00400252": {"vr": "CS", "Value": ["IN PROGRESS"]}}'


# To JSON


def write(dataset: Mapping[int, Readable]) -> bytes:
    """One data set as a JSON object, members in ascending order of their tags."""
    return orjson.dumps(_object(dataset))


def array(objects: Iterable[bytes]) -> bytes:
    """The top-level array of a payload (F.2.1) of objects that are written already."""
    return b"[" + b",".join(objects) + b"]"


def _object(dataset: Mapping[int, Readable]) -> dict[str, Any]:
    return {name_of(tag): _member(dataset[tag]) for tag in sorted(dataset)}


@lru_cache(maxsize=8192)
def name_of(tag: int) -> str:
    """Of a member (F.2.2)."""
    return f"{tag:08X}"


def _member(attribute: Readable) -> dict[str, Any]:
    vr = attribute.vr
    if vr in BINARY:
        return {"vr": vr, "InlineBinary": base64_of(attribute)} if any(attribute.values) else {"vr": vr}
    if vr == "SQ":
        return member_of_items([_object(item) for item in attribute.items])
    return member(vr, attribute.values)


def member(vr: str, values: Sequence[str]) -> dict[str, Any]:
    """Of an attribute that is neither binary nor a sequence. Without a value it has no Value (F.2.5)."""
    write_value = _WRITERS.get(vr)
    written = [value or None for value in values] if write_value is None else [write_value(vr, one) for one in values]
    return {"vr": vr, "Value": written} if any(one is not None for one in written) else {"vr": vr}


def member_of_items(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}


def is_as_it_is(vr: str) -> bool:
    """Whether values are members of JSON as they are."""
    return vr not in _WRITERS and vr not in BINARY and vr != "SQ"


def _name(_vr: str, value: str) -> Any:
    groups = {name: group for name, group in zip(_GROUPS, value.split("="), strict=False) if group}
    return groups or None


def _number(vr: str, value: str) -> Any:
    try:
        number: float = int(value) if vr in _WHOLE else float(value)
    except ValueError:
        return value if value and vr in _AS_TEXT_TOO else None
    if not math.isfinite(number) or abs(number) >= 2**63:
        return value if vr in _AS_TEXT_TOO else None
    return number


def _tag(_vr: str, value: str) -> Any:
    return value.translate(WITHOUT_SIGNS) or None


_WRITERS: Final[dict[str, Callable[[str, str], Any]]] = {
    "AT": _tag,
    "PN": _name,
    **dict.fromkeys(_WHOLE | _FRACTIONS, _number),
}


# From JSON


def read(body: bytes) -> Dataset:
    """The data set of a JSON object, or of an array of one. Raises `Malformed` with the place and the cure."""
    parsed = _loaded(body)
    if isinstance(parsed, list) and len(parsed) == 1:
        parsed = parsed[0]
    if not isinstance(parsed, dict):
        shape = f"an array of {len(parsed)}" if isinstance(parsed, list) else "no object"
        raise Malformed(f"{shape}; {_CURE}", place="body")
    return _dataset(parsed, "", 1)


def read_tolerantly(body: bytes, faults: list[Malformed]) -> Dataset:
    """The data set of a JSON object that another system wrote: an attribute that cannot be read is left out, and its
    fault added. Raises `Malformed` for what is no JSON object."""
    try:
        parsed = orjson.loads(body)
    except ValueError as error:
        raise Malformed(f"no JSON: {error}", place="body") from None
    if not isinstance(parsed, dict):
        raise Malformed("no object", place="body")
    return _tolerantly(parsed, faults)


def _tolerantly(parsed: dict[str, Any], faults: list[Malformed]) -> Dataset:
    attributes: dict[int, Attribute] = {}
    for name, member in parsed.items():
        value = member.get("Value") if isinstance(member, dict) else None
        if value is not None and not isinstance(value, list):
            member = member | {"Value": [value]}
        try:
            attributes.update(_dataset({name: member or {}}, "", 1))
        except Malformed as error:
            faults.append(error)
    return attributes


def read_all(body: bytes) -> list[Dataset]:
    """The data sets of an array of JSON objects, or of one object, without attributes that cannot be read. Raises
    `Malformed` with the place and the cure."""
    parsed = _loaded(body)
    objects = parsed if isinstance(parsed, list) else [parsed]
    if not all(isinstance(one, dict) for one in objects):
        raise Malformed(f"no object; {_CURE}", place="body")
    return [_tolerantly(one, []) for one in objects]


def _loaded(body: bytes) -> Any:
    try:
        return orjson.loads(body) if len(body) <= LONG_BYTES else long_json.loads(body)
    except ValueError as error:
        raise Malformed(f"no JSON: {error}; {_CURE}", place="body") from None


def _dataset(members: dict[str, Any], above: str, depth: int) -> Dataset:
    pause()
    check_depth(depth, above or "body")
    attributes: dict[int, Attribute] = {}
    for name, member in members.items():
        tag, place = tag_of(name), above + name
        if tag is None:
            raise Malformed(f"the name of a member is a tag of eight hexadecimal digits; {_CURE}", place=place[:200])
        if not isinstance(member, dict):
            raise Malformed(f"a member is an object with vr and Value; {_CURE}", place=place)
        if is_of_data_sets(tag):
            attributes[tag] = _attribute(tag, member, place, depth)
    return attributes


def _attribute(tag: int, member: dict[str, Any], place: str, depth: int) -> Attribute:
    vr = member.get("vr") or vr_of(tag)
    if not isinstance(vr, str) or len(vr) != 2 or not vr.isascii():
        raise Malformed("vr is a VR of PS3.5, of two letters", place=place)
    if "BulkDataURI" in member or "InlineBinary" in member:
        return Attribute(tag, vr, binary=_binary(member.get("InlineBinary")), bulk_uri=_uri(member.get("BulkDataURI")))
    values = member.get("Value") or []
    if not isinstance(values, list):
        raise Malformed("Value is an array; put the value into [ ]", place=place)
    if vr == "SQ":
        return Attribute(tag, vr, items=tuple(_item(one, place, depth) for one in values))
    return Attribute(tag, vr, tuple(_value(vr, one, place) for one in values))


def _binary(written: Any) -> bytes | None:
    return bytes_of(written or "") if isinstance(written, str | None) else None


def _uri(written: Any) -> str:
    return written if isinstance(written, str) else ""


def _item(value: Any, place: str, depth: int) -> Dataset:
    if not isinstance(value, dict | None):
        raise Malformed("an item of a sequence is an object", place=place)
    return _dataset(value or {}, f"{place}.", depth + 1)


def _value(vr: str, value: Any, place: str) -> str:
    text = _text_of(vr, value, place)
    if not text.isascii() and _HALF.search(text):
        raise Malformed("half of a surrogate pair is no character", place=place)
    return text


def _text_of(vr: str, value: Any, place: str) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if vr == "PN" and isinstance(value, dict):
        groups = [value.get(name) or "" for name in _GROUPS]
        if all(isinstance(group, str) for group in groups):
            return "=".join(groups).rstrip("=")
        raise Malformed("the component groups of a name are strings", place=place)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise Malformed("a value is a string, a number, or an object for a name", place=place)
